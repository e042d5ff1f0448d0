/*
 * test_calltree.c - the tree of calling contexts and its cursor, with made-up frames and times.
 */
#include "calltree.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct calltree *tree;
static uint64_t now;

static void set_up(void)
{
	tree = calloc(1, sizeof(*tree));
	cr_assert_not_null(tree);
	now = 1000;
	calltree_begin(tree, now);
}

static void tear_down(void)
{
	free(tree);
}

TestSuite(calltree, .init = set_up, .fini = tear_down);

static uint32_t node_of(struct calltree *of, uint64_t key, enum calltree_kind kind)
{
	struct calltree_callee callee = { .key = key, .id = 1, .kind = kind };
	bool is_new;

	return calltree_node(of, &callee, &is_new);
}

/* Python function `key` begins in frame key * 100, after `ticks`. */
static uint32_t enter(uint64_t key, uint64_t ticks)
{
	uint32_t node;

	calltree_pass(tree, now += ticks, 0);
	node = node_of(tree, key, CALLTREE_PYTHON);
	calltree_push(tree, node, key * 100, true);
	return node;
}

static void leave(uint64_t ticks)
{
	calltree_pass(tree, now += ticks, 0);
	calltree_pop(tree, CALLTREE_RETURN);
}

static uint64_t durations(const struct calltree_node *node)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CALLTREE_DURATIONS; i++)
		sum += node->durations[i];
	return sum;
}

Test(calltree, calls_returns_and_time_of_their_own)
{
	uint32_t a = enter(1, 10), b = enter(2, 100);

	leave(40);
	cr_expect_eq(enter(2, 5), b, "the same context is the same node");
	leave(70);
	leave(3);
	cr_expect_eq(tree->nodes[CALLTREE_ROOT].self_ticks, 10);
	cr_expect_eq(tree->nodes[a].self_ticks, 100 + 5 + 3);
	cr_expect_eq(tree->nodes[b].self_ticks, 40 + 70);
	cr_expect_eq(tree->nodes[a].calls, 1);
	cr_expect_eq(tree->nodes[b].calls, 2);
	cr_expect_eq(tree->nodes[b].ends[CALLTREE_RETURN], 2);
	cr_expect_eq(tree->nodes[b].parent, a);
	/* Without a counter a tick is a nanosecond: 40 and 70 are of 32..63 and 64..127. */
	cr_expect_eq(tree->nodes[b].durations[6], 1);
	cr_expect_eq(tree->nodes[b].durations[7], 1);
	cr_expect_eq(tree->nodes[a].durations[8], 1, "218 with what it called");
	cr_expect_eq(tree->depth, 0);
}

Test(calltree, what_an_event_costs_is_nobodys_time)
{
	uint32_t a = enter(1, 0);

	calltree_pass(tree, now += 100, 30);
	cr_expect_eq(tree->nodes[a].self_ticks, 70);
	calltree_pass(tree, now += 20, 30);
	cr_expect_eq(tree->nodes[a].self_ticks, 70, "never less than none");
	calltree_pass(tree, now -= 50, 0);
	cr_expect_eq(tree->nodes[a].self_ticks, 70, "the clock stepped back");
	cr_expect_eq(tree->clock, 70);
	leave(10);
	cr_expect_eq(tree->nodes[a].durations[7], 1, "80");
}

Test(calltree, contexts_are_told_apart)
{
	struct calltree_callee other = { .key = 2, .id = 9, .kind = CALLTREE_PYTHON };
	uint32_t a = enter(1, 0), b = enter(2, 0), under_b = enter(2, 0);
	bool is_new;

	cr_expect_neq(b, under_b, "a recursion is deeper");
	leave(1);
	leave(1);
	cr_expect_neq(calltree_node(tree, &other, &is_new), b, "other code at the same address");
	cr_expect(is_new);
	cr_expect_eq(calltree_find(tree, 2, 1), b);
	cr_expect_neq(calltree_find(tree, 2, 0), CALLTREE_LOST, "any of them");
	cr_expect_eq(calltree_find(tree, 3, 0), CALLTREE_LOST);
	leave(1);
	cr_expect_neq(enter(2, 0), b, "another parent");
	cr_expect_eq(tree->nodes[a].calls, 1);
}

Test(calltree, calls_found_going_on_have_no_duration)
{
	uint32_t a = node_of(tree, 1, CALLTREE_PYTHON);

	calltree_push(tree, a, 100, false);
	leave(50);
	cr_expect_eq(tree->nodes[a].calls, 0);
	cr_expect_eq(tree->nodes[a].ends[CALLTREE_RETURN], 1);
	cr_expect_eq(durations(&tree->nodes[a]), 0);
	cr_expect_eq(tree->nodes[a].self_ticks, 50);
}

Test(calltree, a_call_that_is_known_begins_like_any_other)
{
	uint32_t a = enter(1, 0), c = node_of(tree, 4, CALLTREE_C);
	struct calltree_step pushed;

	calltree_push(tree, c, 100, true);
	pushed = *calltree_top(tree);
	cr_expect_eq(pushed.key, 5, "no code object's");
	calltree_top(tree)->site = 7;
	calltree_pop(tree, CALLTREE_RETURN);
	calltree_pass_in(tree, a, now += 10, 4);
	cr_expect_eq(tree->nodes[a].self_ticks, 6);
	calltree_begins(
		tree, c,
		(struct calltree_step){ .frame = 100, .key = calltree_c_key(4), .is_c = true });
	cr_expect_eq(tree->nodes[c].calls, 2);
	cr_expect_eq(calltree_top(tree)->frame, pushed.frame);
	cr_expect_eq(calltree_top(tree)->key, pushed.key);
	cr_expect_eq(calltree_top(tree)->node, c);
	cr_expect(calltree_top(tree)->is_c && calltree_top(tree)->is_begun);
	cr_expect_eq(calltree_top(tree)->site, 0);
	leave(20);
	cr_expect_eq(tree->nodes[c].durations[5], 1, "20");
}

Test(calltree, seek_drops_what_is_above_unfinished)
{
	uint32_t a = enter(1, 0), b = enter(2, 0), c;

	enter(3, 0);
	cr_expect_not(calltree_seek(tree, 999, 1, false));
	cr_expect_eq(tree->depth, 3, "nothing is dropped for what is not there");
	cr_expect_not(calltree_seek(tree, 200, 77, false), "the frame is another call's now");
	cr_expect(calltree_seek(tree, 200, 2, false));
	cr_expect_eq(calltree_top(tree)->node, b);
	cr_expect_eq(durations(&tree->nodes[b]), 0);
	c = node_of(tree, 4, CALLTREE_C);
	calltree_push(tree, c, 200, true);
	cr_expect(calltree_seek(tree, 200, 2, true));
	cr_expect_eq(calltree_top(tree)->node, c, "its C call, which calls back");
	cr_expect(calltree_seek(tree, 200, 2, false));
	cr_expect_eq(calltree_top(tree)->node, b, "it is over");
	cr_expect(calltree_seek(tree, 100, 1, false));
	cr_expect_eq(calltree_top(tree)->node, a);
}

Test(calltree, what_does_not_fit_is_lost_and_counted)
{
	for (uint64_t key = 1; key <= CALLTREE_NODES; key++) {
		enter(key, 1);
		leave(1);
	}
	cr_expect_eq(tree->node_count, CALLTREE_NODES);
	cr_expect_eq(tree->lost, CALLTREE_FIRST);
	cr_expect_eq(tree->nodes[CALLTREE_LOST].calls, CALLTREE_FIRST);
	cr_expect_eq(enter(1, 1), CALLTREE_FIRST, "what is there is there");
	leave(1);
	enter(CALLTREE_NODES + 5, 1);
	cr_expect_eq(enter(1, 1), CALLTREE_LOST, "below what is lost all is lost");
	cr_expect_eq(tree->lost, CALLTREE_FIRST + 2);
	calltree_push(tree, CALLTREE_LOST, 1, false);
	cr_expect_eq(tree->lost, CALLTREE_FIRST + 2, "no call, one that was there");
}

Test(calltree, a_stack_too_deep_starts_anew)
{
	for (unsigned i = 0; i < CALLTREE_DEPTH; i++)
		enter(1, 1);
	cr_expect_eq(tree->depth, CALLTREE_DEPTH);
	enter(1, 1);
	cr_expect_eq(tree->depth, 0);
}

Test(calltree, cleared_it_is_as_new)
{
	for (uint64_t key = 1; key < 3000; key++)
		enter(key, 1);
	tree->events[CALLTREE_OF_PYTHON] = 5;
	calltree_clear(tree);
	for (size_t i = 0; i < CALLTREE_BUCKETS; i++)
		cr_assert_eq(tree->buckets[i], 0);
	for (size_t i = 0; i < CALLTREE_NODES; i++)
		cr_assert_eq(tree->nodes[i].calls + tree->nodes[i].key + tree->nodes[i].self_ticks,
			     0);
	cr_expect_eq(tree->events[CALLTREE_OF_PYTHON], 0);
	calltree_begin(tree, now);
	cr_expect_eq(enter(1, 0), CALLTREE_FIRST);
}

Test(calltree, open_calls_go_on_in_another_tree)
{
	struct calltree *to = calloc(1, sizeof(*to)), *from = tree;
	uint32_t a = enter(1, 10), b = enter(2, 20);

	cr_assert_not_null(to);
	calltree_pass(tree, now += 30, 0);
	calltree_top(tree)->site = 3;
	calltree_top(tree)->begun_ticks = 10;
	calltree_move(to, tree, 77);
	cr_expect_eq(from->depth, 0);
	cr_expect_eq(from->nodes[a].calls + from->nodes[b].calls, 0, "they count where they end");
	cr_expect_eq(from->nodes[b].self_ticks, 30);
	tree = to;
	cr_expect_eq(tree->depth, 2);
	cr_expect_eq(calltree_top(tree)->site, 3);
	cr_expect_eq(tree->steps[0].site, 0);
	cr_expect_eq(tree->nodes[calltree_top(tree)->node].self_ticks -
			     calltree_top(tree)->begun_ticks,
		     20, "what passed before the move, too");
	leave(40);
	leave(5);
	b = CALLTREE_FIRST + 1;
	cr_expect_eq(tree->nodes[b].calls, 1);
	cr_expect_eq(tree->nodes[b].made_ns, 77);
	cr_expect_eq(tree->nodes[b].self_ticks, 40);
	cr_expect_eq(tree->nodes[b].durations[7], 1, "70, of which 30 before");
	tree = from;
	free(to);
}

Test(calltree, time_is_taken_back_from_the_call_on_top_alone)
{
	uint32_t outer = enter(1, 50), inner = enter(2, 30);

	calltree_pass(tree, now += 20, 0);
	calltree_take_back(tree, 5);
	cr_expect_eq(tree->nodes[inner].self_ticks, 15);
	cr_expect_eq(tree->clock, 95);
	calltree_take_back(tree, 1000);
	cr_expect_eq(tree->nodes[inner].self_ticks, 0);
	cr_expect_eq(tree->clock, 80, "the inner call took no time at all");
	cr_expect_eq(tree->nodes[outer].self_ticks, 30);
	leave(0);
	leave(0);
	calltree_take_back(tree, 1000);
	cr_expect_eq(tree->nodes[CALLTREE_ROOT].self_ticks, 0);
}
