//! The system calls of a thread in the sandbox, and their filter.
//!
//! All others fail with EPERM, and clone3(2) with ENOSYS. The lists are by purpose. Calls with a
//! condition are in `permitted`.

use std::collections::BTreeMap;
use std::sync::Arc;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Bytes between descriptors, and the descriptors themselves.
const DESCRIPTORS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_splice,
    libc::SYS_pipe2,
    libc::SYS_connect,
    // A worker's socket listens once the port opens.
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_dup,
    libc::SYS_close,
];

/// Waits, and the clock.
const WAITS: &[c_long] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
];

/// Memory.
const MEMORY: &[c_long] = &[
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
];

/// Threads of the control port's answers and of the allocator: their start and their end. A panic
/// and an abort too.
const THREADS: &[c_long] = &[
    // Refused by a filter of its own, see `programs`.
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_membarrier,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Reads of the files that Landlock permits, and figures of this process.
const READS: &[c_long] = &[
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_getrandom,
    libc::SYS_geteuid,
    libc::SYS_getuid,
    libc::SYS_uname,
];

/// Requests of ioctl(2) about a descriptor: FIONBIO, FIONREAD, FIOCLEX, TIOCOUTQ. All architectures
/// with a filter have these numbers. The constants of libc have another type on musl.
const DESCRIPTOR_REQUESTS: [u64; 4] = [0x5421, 0x541b, 0x5451, 0x5411];

/// Requests of fcntl(2): duplicates, flags and the size of a pipe, but none about signals.
const FCNTL_REQUESTS: [i32; 7] = [
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
];

/// Namespaces of clone(2). A thread may have some of its own.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Calls of older interfaces, which C libraries use on this architecture only.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_pipe,
    libc::SYS_readlink,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Returns the filters in the order in which a thread loads them.
///
/// # Errors
/// A sentence: the architecture has no filters.
pub(super) fn programs() -> Result<Arc<[BpfProgram]>, String> {
    let arch: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("seccompiler does not know {}", std::env::consts::ARCH))?;
    let both = [threads_by_clone(arch), permitted(arch)];
    let both: Result<Vec<_>, _> = both.into_iter().collect();
    both.map(Arc::from).map_err(|err| err.to_string())
}

/// Filter that has the C library start threads by clone(2), whose flags can be checked. Those of
/// clone3(2) are in memory, which a filter does not see.
fn threads_by_clone(arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let unknown = SeccompAction::Errno(errno(libc::ENOSYS));
    SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch)?.try_into()
}

/// Filter that permits the calls of the lists.
fn permitted(arch: TargetArch) -> Result<BpfProgram, BackendError> {
    let lists = [DESCRIPTORS, WAITS, MEMORY, THREADS, READS, OLDER].concat();
    let mut rules: BTreeMap<_, _> = lists.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, sockets()?);
    rules.insert(libc::SYS_ioctl, settings_of_descriptors()?);
    let requests = FCNTL_REQUESTS.map(|request| rule(vec![equals(1, flag(request))?]));
    let requests: Result<Vec<_>, _> = requests.into_iter().collect();
    rules.insert(libc::SYS_fcntl, requests?);
    // A thread in our namespaces, and no process.
    let flags = flag(libc::CLONE_THREAD | NAMESPACES);
    let is_thread = masked(0, flags, flag(libc::CLONE_THREAD))?;
    rules.insert(libc::SYS_clone, vec![rule(vec![is_thread])?]);
    // The name of a thread.
    let names = equals(0, flag(libc::PR_SET_NAME))?;
    rules.insert(libc::SYS_prctl, vec![rule(vec![names])?]);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        // Memory that is not executed.
        let is_data = masked(2, flag(libc::PROT_EXEC), 0)?;
        rules.insert(call, vec![rule(vec![is_data])?]);
    }
    rules.insert(libc::SYS_openat, opens_for_reading(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, opens_for_reading(1)?);
    // An abort signals its own thread; kill(2) is not permitted.
    let own = equals(0, u64::from(std::process::id()))?;
    let aborts = equals(2, flag(libc::SIGABRT))?;
    rules.insert(libc::SYS_tgkill, vec![rule(vec![own, aborts])?]);
    let refused = SeccompAction::Errno(errno(libc::EPERM));
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}

/// An open whose flags, in this argument, write nothing.
fn opens_for_reading(flags: u8) -> Result<Vec<SeccompRule>, BackendError> {
    let writes = flag(libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC);
    Ok(vec![rule(vec![masked(flags, writes, 0)?])?])
}

/// Sockets for connections to replicas, and for the lookup of a socket's owner (sock_diag(7)).
fn sockets() -> Result<Vec<SeccompRule>, BackendError> {
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    // The type has flags in its upper bits.
    let stream = || masked(1, 0xf, flag(libc::SOCK_STREAM));
    let families = families.map(|family| rule(vec![equals(0, flag(family))?, stream()?]));
    let owner_lookup = rule(vec![
        equals(0, flag(libc::AF_NETLINK))?,
        equals(2, flag(libc::NETLINK_SOCK_DIAG))?,
    ]);
    families.into_iter().chain([owner_lookup]).collect()
}

/// Requests about a descriptor: it waits or not, and the bytes that it holds.
fn settings_of_descriptors() -> Result<Vec<SeccompRule>, BackendError> {
    let rules = DESCRIPTOR_REQUESTS.map(|request| rule(vec![equals(1, request)?]));
    rules.into_iter().collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

fn equals(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    let compare = SeccompCmpOp::MaskedEq(mask);
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, value)
}

/// A flag as an argument of a filter.
fn flag(flag: i32) -> u64 {
    u64::from(flag.cast_unsigned())
}

fn errno(number: i32) -> u32 {
    number.cast_unsigned()
}
