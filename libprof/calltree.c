/*
 * calltree.c - the tree: nodes by (parent, key, id) in one hash table, the cursor an array.
 */
#include "calltree.h"

#include <string.h>

static uint32_t *bucket_of(const struct calltree *tree, uint32_t parent, uint64_t key);

void calltree_begin(struct calltree *tree, uint64_t now_ticks)
{
	tree->last_ticks = now_ticks;
	tree->clock = 0;
	tree->depth = 0;
	tree->node_count = CALLTREE_FIRST;
	tree->looked_ticks = 0;
}

void calltree_clear(struct calltree *tree)
{
	for (uint32_t i = CALLTREE_FIRST; i < tree->node_count; i++)
		*bucket_of(tree, tree->nodes[i].parent, tree->nodes[i].key) = 0;
	memset(tree->nodes, 0, tree->node_count * sizeof(tree->nodes[0]));
	memset(tree->events, 0, sizeof(tree->events));
	tree->lost = 0;
	tree->depth = 0;
	tree->node_count = 0;
}

uint32_t calltree_search(struct calltree *tree, uint64_t key, uint32_t id)
{
	uint32_t parent = calltree_top_node(tree), node = *bucket_of(tree, parent, key);

	while (node && (tree->nodes[node].key != key || tree->nodes[node].parent != parent ||
			(id && tree->nodes[node].id != id)))
		node = tree->nodes[node].chained;
	if (node)
		tree->nodes[parent].last = node;
	return node;
}

uint32_t calltree_node(struct calltree *tree, const struct calltree_callee *callee, bool *is_new)
{
	uint32_t parent = calltree_top_node(tree), made = tree->node_count;
	uint32_t *bucket = bucket_of(tree, parent, callee->key);
	uint32_t found = calltree_find(tree, callee->key, callee->id);

	*is_new = false;
	if (found || parent == CALLTREE_LOST || made == CALLTREE_NODES)
		return found;
	tree->nodes[made].key = callee->key;
	tree->nodes[made].id = callee->id;
	tree->nodes[made].kind = callee->kind;
	tree->nodes[made].parent = parent;
	tree->nodes[made].chained = *bucket;
	tree->nodes[parent].last = *bucket = made;
	tree->node_count++;
	*is_new = true;
	return made;
}

bool calltree_seek(struct calltree *tree, uintptr_t frame, uint64_t key, bool with_c)
{
	for (uint32_t depth = tree->depth; depth > 0; depth--) {
		const struct calltree_step *step = &tree->steps[depth - 1];

		if (step->frame != frame || (step->is_c && !with_c))
			continue;
		if (!step->is_c && step->key != key)
			return false; /* another call had the same place on the stack */
		tree->depth = depth;
		return true;
	}
	return false;
}

void calltree_move(struct calltree *to, struct calltree *from, uint64_t now_ns)
{
	calltree_begin(to, from->last_ticks);
	to->clock = from->clock;
	for (uint32_t i = 0; i < from->depth; i++) {
		const struct calltree_step *step = &from->steps[i];
		struct calltree_node *node = &from->nodes[step->node];
		struct calltree_callee callee = { node->key, node->id, node->kind };
		bool is_new = false;
		uint32_t moved = step->node == CALLTREE_LOST ? CALLTREE_LOST :
							       calltree_node(to, &callee, &is_new);

		if (is_new)
			to->nodes[moved].made_ns = now_ns;
		/* The call counts where it ends, so that its duration is never without it. */
		if (step->is_begun && moved != CALLTREE_LOST)
			node->calls--;
		calltree_push(to, moved, step->frame, step->is_begun && moved != CALLTREE_LOST);
		to->steps[i].begun_clock = step->begun_clock;
		to->steps[i].site = moved == CALLTREE_LOST ? 0 : step->site;
		/* Time of before counts on: the difference is what matters. */
		to->steps[i].begun_ticks =
			to->nodes[moved].self_ticks - (node->self_ticks - step->begun_ticks);
	}
	from->depth = 0;
}

static uint32_t *bucket_of(const struct calltree *tree, uint32_t parent, uint64_t key)
{
	uint64_t hash = (key ^ (uint64_t)parent << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t *)&tree->buckets[hash >> 40 & (CALLTREE_BUCKETS - 1)];
}
