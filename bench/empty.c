/* empty.c - a preloaded library that does nothing: what LD_PRELOAD itself costs. */
int empty_nothing(void);

int empty_nothing(void)
{
	return 0;
}
