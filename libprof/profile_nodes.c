/*
 * profile_nodes.c - the stacks of a recording -> the profile's.
 *
 * A recording sends its nodes again in each of its epochs, so most of them are known, and where they are is in no
 * cache.  A few wait until all of them know where to look: those whose parents are known at once ask for their
 * memory together, and the rest, each called from the one before, mostly lie behind it in the profile, too.
 */
#include "profile_take.h"

#include "heap.h"

static void expect(const struct profile_maker *maker);
static void find_first(const struct profile_maker *maker, uint32_t *ids);
static uint32_t put_node(struct profile_maker *maker, const struct profile_node *row);

void profile_take_node(void *self, uint32_t id, uint32_t parent, uint32_t frame)
{
	struct profile_maker *maker = self;
	struct node_map *map = &maker->node_map;

	(void)id;
	if (maker->error)
		return;
	map->pending[map->pending_count++] =
		(struct profile_node){ parent, maker->frame_map.ids[frame - 1] };
	if (map->pending_count == PROFILE_PENDING)
		profile_settle_nodes(maker);
}

void profile_settle_nodes(struct profile_maker *maker)
{
	struct node_map *map = &maker->node_map;
	uint32_t ids[PROFILE_PENDING] = { 0 };

	if (map->pending_count == 0 || maker->error)
		return;
	if (!GROW(map->rows, map->capacity, map->count + PROFILE_PENDING)) {
		profile_fail(maker, "no memory");
		return;
	}
	expect(maker);
	find_first(maker, ids);
	for (size_t i = 0; i < map->pending_count; i++) {
		struct profile_node row = map->pending[i];

		row.parent = row.parent ? map->rows[row.parent - 1].id : 0;
		map->rows[map->count++] = (struct mapped_node){
			.id = ids[i] ? ids[i] : put_node(maker, &row),
			.function = maker->profile->frames[row.frame - 1].function,
		};
	}
	map->pending_count = 0;
}

/* Those whose parents are not among them. */
static void expect(const struct profile_maker *maker)
{
	const struct node_map *map = &maker->node_map;

	for (size_t i = 0; i < map->pending_count; i++) {
		const struct profile_node *row = &map->pending[i];

		if (row->parent <= map->count)
			pairs_expect(&maker->nodes, row->parent ? map->rows[row->parent - 1].id : 0,
				     row->frame);
	}
}

/* The same; next will be asked for what follows them. */
static void find_first(const struct profile_maker *maker, uint32_t *ids)
{
	const struct node_map *map = &maker->node_map;

	for (size_t i = 0; i < map->pending_count; i++) {
		const struct profile_node *row = &map->pending[i];

		if (row->parent > map->count)
			continue;
		ids[i] = pairs_find(&maker->nodes, row->parent ? map->rows[row->parent - 1].id : 0,
				    row->frame);
		__builtin_prefetch(&maker->profile->nodes[ids[i]]);
	}
}

static uint32_t put_node(struct profile_maker *maker, const struct profile_node *row)
{
	struct profile *profile = maker->profile;
	const struct profile_node *next = &profile->nodes[row->parent];
	uint32_t id;

	if (row->parent < profile->node_count && next->parent == row->parent &&
	    next->frame == row->frame)
		return row->parent + 1;
	if (profile_put_pair(maker, &maker->nodes, row->parent, row->frame, &id)) {
		if (!GROW(profile->nodes, maker->node_capacity, profile->node_count)) {
			profile_fail(maker, "no memory");
			return 0;
		}
		profile->nodes[profile->node_count++] = *row;
	}
	return id;
}
