#include "quality/sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fcntl.h>
#include <signal.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace tarn::quality {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // the shadow memory needs terabytes of address space and calls of its own
#else
constexpr bool kSanitized = false;
#endif

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

/// Calls that a thread pool over memory and already open files needs. Everything else answers EPERM.
constexpr int kAllowed[] = {
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_preadv,
    SYS_write,
    SYS_writev,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_munmap,
    SYS_brk,
    SYS_mremap,
    SYS_madvise,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_sched_yield,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendto,
    SYS_recvfrom,
    SYS_ppoll,
    SYS_exit,
    SYS_exit_group,
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_membarrier,
    SYS_getrandom,
    SYS_sched_getaffinity,
    SYS_dup,
    SYS_dup3,
    SYS_fcntl,
    SYS_getrusage,
    SYS_sysinfo,
    SYS_uname,
    SYS_tgkill,
    SYS_restart_syscall,
    SYS_getcwd,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_fadvise64,
    SYS_close_range,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_set_tid_address,
    SYS_mincore,
    SYS_prctl,
#if defined(__x86_64__)
    SYS_poll,
    SYS_readlink,
    SYS_access,
    SYS_stat,
    SYS_lstat,
    SYS_dup2,
    SYS_time,
#endif
};

sock_filter load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter answer(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
sock_filter equal(uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
sock_filter any_bit(uint32_t bits, uint8_t yes, uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no);
}
size_t argument(size_t index) { return offsetof(seccomp_data, args) + index * sizeof(uint64_t); }  // low half

/// If the call is `number`: allowed unless argument `index` has one of `forbidden` bits. Leaves the number loaded.
void unless_bits(std::vector<sock_filter>& program, int number, size_t index, uint32_t forbidden, uint32_t otherwise) {
  program.push_back(equal(static_cast<uint32_t>(number), 0, 4));
  program.push_back(load(argument(index)));
  program.push_back(any_bit(forbidden, 0, 1));
  program.push_back(answer(otherwise));
  program.push_back(answer(SECCOMP_RET_ALLOW));
}

bool filter_calls() {
  const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> program;
  program.push_back(load(offsetof(seccomp_data, arch)));
  program.push_back(equal(kArchitecture, 1, 0));
  program.push_back(answer(SECCOMP_RET_KILL_PROCESS));
  program.push_back(load(offsetof(seccomp_data, nr)));
  const uint32_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
  unless_bits(program, SYS_openat, 2, writing, refused);
#if defined(__x86_64__)
  unless_bits(program, SYS_open, 1, writing, refused);
#endif
  unless_bits(program, SYS_mmap, 2, PROT_EXEC, refused);
  unless_bits(program, SYS_mprotect, 2, PROT_EXEC, refused);
  // Threads may start, processes may not: glibc falls back from clone3, whose flags cannot be seen, to clone.
  program.push_back(equal(SYS_clone, 0, 4));
  program.push_back(load(argument(0)));
  program.push_back(any_bit(CLONE_THREAD, 1, 0));
  program.push_back(answer(refused));
  program.push_back(answer(SECCOMP_RET_ALLOW));
  program.push_back(equal(SYS_clone3, 0, 1));
  program.push_back(answer(SECCOMP_RET_ERRNO | ENOSYS));
  // Limits may be asked, not set: the third argument is the new limit.
  program.push_back(equal(SYS_prlimit64, 0, 4));
  program.push_back(load(argument(2)));
  program.push_back(equal(0, 1, 0));
  program.push_back(answer(refused));
  program.push_back(answer(SECCOMP_RET_ALLOW));
  for (const int number : kAllowed) {
    program.push_back(equal(static_cast<uint32_t>(number), 0, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
  }
  program.push_back(answer(refused));
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// A ruleset that handles every kind of access and allows none.
bool forbid_paths() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return false;
  // The first 13 rights exist since the first version; later ones are refused by the seccomp list anyway.
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = (uint64_t{1} << 13) - 1;
  const long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
  if (ruleset < 0) return false;
  const bool held = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  close(static_cast<int>(ruleset));
  return held;
}

void limit(int resource, int64_t value) {
  rlimit now{};
  getrlimit(static_cast<__rlimit_resource>(resource), &now);
  rlimit next{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  if (now.rlim_max != RLIM_INFINITY && next.rlim_max > now.rlim_max) next = {now.rlim_max, now.rlim_max};
  setrlimit(static_cast<__rlimit_resource>(resource), &next);
}

}  // namespace

void shed_inheritance(int keep) {
  close_range(static_cast<unsigned>(keep) + 1, ~0U, 0);
  clearenv();
  signal(SIGINT, SIG_IGN);  // Ctrl-C on the server's terminal: the server decides when workers go
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // standard error may be a file, and no file may grow
}

std::vector<std::string> enter_sandbox(const SandboxLimits& limits) {
  std::vector<std::string> lacking;
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CPU, limits.cpu_seconds);
  if (kSanitized) return {"address space limit, Landlock and seccomp are off under the address sanitizer"};
  limit(RLIMIT_AS, limits.address_space_bytes);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) lacking.emplace_back("no_new_privs");
  if (!forbid_paths()) lacking.emplace_back("Landlock");
  if (!filter_calls()) lacking.emplace_back("seccomp");
  return lacking;
}

}  // namespace tarn::quality
