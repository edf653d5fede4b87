/*
 * Which system calls does a filter let through? usage: seccomp-probe FIRST LAST [FILTER-FILE]
 *
 * Makes every call with all arguments -1 in a child of its own, under the filter if one is given, and prints its number and the error
 * number, 0, or 1000 + the signal that ended it. With these arguments no call does anything lasting: pointers, descriptors, lengths
 * and flags are all invalid; only msgget takes them, and gets an IPC namespace for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sock_filter instructions[4096];

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }

    struct sock_fprog program = { 0, instructions };
    if (argc > 3) {
        int file = open(argv[3], O_RDONLY);
        long length = read(file, instructions, sizeof instructions);
        if (length <= 0) {
            perror(argv[3]);
            return 2;
        }

        program.len = length / sizeof instructions[0];
    }

    if (unshare(CLONE_NEWIPC) != 0) {
        perror("unshare");
        return 2;
    }

    /* One for each call: a child's child from fork may be late. */
    volatile int *results = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (long call = atol(argv[1]); call <= atol(argv[2]); call++) {
        volatile int *result = &results[call];
        *result = -1;
        pid_t child = fork();
        if (child == 0) {
            setsid();
            alarm(2);
            if (program.len > 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
                _exit(3);
            }

            long value = syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);
            *result = value < 0 ? errno : 0;
            syscall(SYS_exit_group, 0);
        }

        int status = 0;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
            fprintf(stderr, "the filter was not installed\n");
            return 3;
        }

        printf("%ld %d\n", call, *result >= 0 ? *result : 1000 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    }

    return 0;
}
