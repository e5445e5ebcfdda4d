// What a sandboxed process cannot do, asked from the kernel and not from DuckDB.
#include "quality/sandbox.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <functional>

#include <fmt/core.h>

#include "quality/channel.h"
#include "quality/worker.h"

namespace tarn::quality {
namespace {

/// Runs `body` in a sandboxed child. @return its exit code; 100 + signal when it was killed.
int boxed(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const auto lacking = enter_sandbox({});
    _exit(lacking.empty() ? body() : 99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

class Sandbox : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sandbox is reduced under the address sanitizer";
#endif
    const int code = boxed([] { return 0; });
    if (code == 99) GTEST_SKIP() << "this kernel has no Landlock or seccomp: the sandbox is not complete";
    ASSERT_EQ(code, 0);
  }
};

TEST_F(Sandbox, NoFileCanBeOpened) {
  EXPECT_EQ(boxed([] { return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(boxed([] { return open("/proc/self/environ", O_RDONLY | O_CLOEXEC) < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(boxed([] { return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 ? 0 : 1; }), 0);
}

TEST_F(Sandbox, NoFileCanBeWrittenNotEvenInMemory) {
  EXPECT_EQ(boxed([] { return open("/tmp/tarn-sandbox-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(boxed([] { return memfd_create("x", MFD_CLOEXEC) < 0 ? 0 : 1; }), 0);
}

TEST_F(Sandbox, NoSocketNoProcessNoProgram) {
  EXPECT_EQ(boxed([] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(boxed([] { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(boxed([] { return fork() < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(boxed([] {
              char* none[] = {nullptr};
              execve("/bin/true", none, none);
              return 0;
            }),
            0);
}

TEST_F(Sandbox, NoMemoryBecomesCode) {
  EXPECT_EQ(boxed([] {
              void* p = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              if (p == MAP_FAILED) return 2;
              return mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 ? 0 : 1;
            }),
            0);
}

TEST_F(Sandbox, SealedMemoryFilesCanBeReadByTheirPath) {
  auto file = make_sealed_memory("hello");
  ASSERT_TRUE(file);
  const int fd = file->get();
  EXPECT_EQ(boxed([fd] {
              const int again = open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC);
              char text[5];
              return again >= 0 && read(again, text, 5) == 5 && text[0] == 'h' ? 0 : 1;
            }),
            0);
  EXPECT_LT(pwrite(fd, "x", 1, 0), 0) << "nobody can change it, not even its maker";
}

}  // namespace
}  // namespace tarn::quality
