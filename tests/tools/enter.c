/*
 * enter.c - run a program inside a Debian tree as if it were installed here:
 *
 *   enter PROJECT TREE PROGRAM [ARGUMENT...]
 *
 * In a mount namespace of its own, the project, /tmp, /proc and /dev appear in TREE at the same places as
 * outside, TREE becomes the root, and PROGRAM replaces this one: paths, working directory, descriptors,
 * environment, signals and exit status are those of the caller.  Exit status 77: not permitted here.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTER_REFUSED 77

static void refuse(const char *what, const char *path)
{
	fprintf(stderr, "enter: cannot %s %s: %s\n", what, path, strerror(errno));
	_exit(ENTER_REFUSED);
}

static void make_directories(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(path, 0755);
		*at = '/';
	}
	mkdir(path, 0755);
}

static void show(const char *tree, const char *path)
{
	char inside[PATH_MAX];

	if ((size_t)snprintf(inside, sizeof(inside), "%s%s", tree, path) >= sizeof(inside))
		refuse("show", path);
	make_directories(inside);
	if (mount(path, inside, NULL, MS_BIND | MS_REC, NULL))
		refuse("mount", inside);
}

int main(int argc, char **argv)
{
	char project[PATH_MAX], tree[PATH_MAX], directory[PATH_MAX];

	if (argc < 4) {
		fprintf(stderr, "usage: enter PROJECT TREE PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (!realpath(argv[1], project))
		refuse("find", argv[1]);
	if (!realpath(argv[2], tree))
		refuse("find", argv[2]);
	if (!getcwd(directory, sizeof(directory)))
		refuse("find", "the working directory");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		refuse("have mounts of its own for", tree);
	show(tree, "/tmp");
	show(tree, "/proc");
	show(tree, "/dev");
	show(tree, project);
	if (chroot(tree))
		refuse("enter", tree);
	if (chdir(directory))
		refuse("find inside the tree", directory);
	execv(argv[3], argv + 3);
	refuse("run", argv[3]);
}
