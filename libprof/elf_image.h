/*
 * elf_image.h - the bytes of an ELF file, for elf*.c.
 */
#ifndef ELF_IMAGE_H
#define ELF_IMAGE_H

#include "elf.h"

#include <elf.h>

/* Read n bytes at an offset of the file; false if they are not all there. drainer */
bool elf_image_read(const struct elf_image *image, void *to, uint64_t offset, uint64_t n);
/* Read the first header; NULL, or why it is none of this machine. drainer */
errmsg elf_image_begin(const struct elf_image *image, Elf64_Ehdr *header);

#endif
