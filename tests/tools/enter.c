/*
 * enter.c - run a program inside a Debian tree as if it were installed here:
 *
 *   enter PROJECT TREE PROGRAM [ARGUMENT...]
 *
 * In a mount namespace of its own, the project, /tmp, /proc and /dev appear in TREE at the same places as
 * outside, TREE becomes the root, and PROGRAM replaces this one: paths, working directory, descriptors,
 * environment, signals, ids and exit status are those of the caller.  Who is not root does it in a user
 * namespace, where that is allowed.  Exit status 77: not permitted here.
 */
#include <errno.h>
#include <fcntl.h>
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

static void write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
		refuse("write", path);
	close(file);
}

/*
 * In a user namespace, if need be, in which we are who we were (user_namespaces(7), "Defining user and group
 * ID mappings"): the capabilities that it gives are gone with execve.
 */
static void have_own_mounts(void)
{
	unsigned uid = getuid(), gid = getgid();
	char text[64];

	if (unshare(CLONE_NEWNS) == 0)
		return;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS))
		refuse("have mounts of its own below", "/");
	write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", text);
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
	have_own_mounts();
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		refuse("keep to itself the mounts below", "/");
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
