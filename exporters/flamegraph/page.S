/*
 * The two halves of the page as bytes: flamegraph_head, flamegraph_tail, and where each ends.
 */
	.macro	piece name, file
	.hidden	flamegraph_\name, flamegraph_\name\()_end
	.globl	flamegraph_\name, flamegraph_\name\()_end
flamegraph_\name:
	.incbin	"\file"
flamegraph_\name\()_end:
	.byte	0
	.endm

	.section .rodata.flamegraph, "a", %progbits
	piece	head, "page.head"
	piece	tail, "page.tail"
	.section .note.GNU-stack, "", %progbits
