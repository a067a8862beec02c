// SPDX-License-Identifier: GPL-2.0
/*
 * A process gives up all that a parser does not need, before it looks at the first byte of
 * an image: rights, namespaces, resources and system calls.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "foreign/confine.h"

/* The user and the group nobody. */
#define NOBODY	65534

/* System calls that only compute, or that use a descriptor which is open. */
static const int allowed[] = {
	SCMP_SYS(brk),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(close),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(fstat),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(lseek),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(recvmsg),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sendmsg),
	SCMP_SYS(time),
};

/* Namespaces of its own are welcome, but not every system gives them to everybody. */
static void leave_namespaces(void)
{
	const int flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS;

	if (unshare(flags) && geteuid())
		(void)unshare(flags | CLONE_NEWUSER);
}

/* Root becomes nobody, unless that is no user here: it loses its capabilities then. */
static int become_nobody(void)
{
	if (geteuid())
		return 0;
	if (setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if ((setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)) &&
	    errno != EINVAL && errno != EPERM)
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

static int limit(int resource, u64 soft, u64 hard)
{
	struct rlimit now, wanted = { .rlim_cur = soft, .rlim_max = hard };

	if (getrlimit(resource, &now))
		return -errno;
	/* Nobody may have a higher one than it had. */
	wanted.rlim_max = min(wanted.rlim_max, now.rlim_max);
	wanted.rlim_cur = min(wanted.rlim_cur, wanted.rlim_max);
	return setrlimit(resource, &wanted) ? -errno : 0;
}

/* The soft limit is below the hard one, as the kernel kills without a reason at that. */
static int limit_cpu(const struct confine_limits *l)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_CPU, &now))
		return -errno;
	now.rlim_max = min((u64)now.rlim_max, l->cpu_expand + 1ULL);
	return limit(RLIMIT_CPU, min((u64)l->cpu, now.rlim_max - 1ULL), now.rlim_max);
}

static int limit_resources(const struct confine_limits *l)
{
	int err = limit(RLIMIT_AS, l->memory, l->memory);

	if (!err)
		err = limit(RLIMIT_FSIZE, l->file, l->file);
	if (!err)
		err = limit_cpu(l);
	if (!err)
		err = limit(RLIMIT_NOFILE, l->files, l->files);
	if (!err)
		err = limit(RLIMIT_NPROC, 0, 0);
	return err ? err : limit(RLIMIT_CORE, 0, 0);
}

static int add_rules(scmp_filter_ctx filter)
{
	size_t i;
	int err = 0;

	/* A call that this architecture does not have cannot be allowed. */
	for (i = 0; !err && i < ARRAY_SIZE(allowed); i++)
		if (allowed[i] >= 0)
			err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return err;
}

/* A process that makes any other call is killed. */
static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err;

	if (!filter)
		return -ENOMEM;
	err = add_rules(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

/* The handlers of the tool are not for its child. */
static void reset_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGPIPE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_DFL);
	/* A file that becomes too large is an error of a write. */
	signal(SIGXFSZ, SIG_IGN);
}

/**
 * confine() - give up all that a parser does not need
 * @limits: the resources that it keeps
 * @step: the result after a failure: the step that failed
 *
 * The process can use its open descriptors afterwards, and memory; it is killed if it
 * tries something else.
 *
 * Return: 0 or a negative errno.
 */
int confine(const struct confine_limits *limits, const char **step)
{
	int err;

	reset_signals();
	leave_namespaces();
	*step = "user";
	err = become_nobody();
	if (!err) {
		*step = "capabilities";
		err = drop_capabilities();
	}
	if (!err) {
		*step = "limits";
		err = limit_resources(limits);
	}
	if (!err) {
		*step = "no_new_privs";
		/* Changing the user has cleared the signal of a parent that ends. */
		err = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		      prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
	}
	if (!err) {
		*step = "seccomp";
		err = filter_calls();
	}
	return err;
}
