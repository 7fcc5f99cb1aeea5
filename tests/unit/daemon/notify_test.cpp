// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/notify.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/fd.hpp"

namespace hf {
namespace {

TEST(Notify, AReaderThatHasStoppedLosesLinesAndIsToldHowMany) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]), before(dup(STDERR_FILENO));
  ASSERT_EQ(fcntl(writer.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string page(4096, '.');
  while (write(writer.get(), page.data(), page.size()) > 0) {
  }
  ASSERT_EQ(fcntl(writer.get(), F_SETFL, 0), 0);
  ASSERT_EQ(dup2(writer.get(), STDERR_FILENO), STDERR_FILENO);

  // Would wait here for ever.
  alarm(20);
  log_line(Priority::kNotice, "one");
  log_line(Priority::kNotice, "two");
  std::string said(1 << 20, '\0');
  EXPECT_GT(read(reader.get(), said.data(), said.size()), 0);
  log_line(Priority::kNotice, "three");
  alarm(0);
  ASSERT_EQ(dup2(before.get(), STDERR_FILENO), STDERR_FILENO);

  const auto got = read(reader.get(), said.data(), said.size());
  ASSERT_GT(got, 0);
  said.resize(static_cast<std::size_t>(got));
  EXPECT_NE(said.find("2 lines before this one are lost"), said.npos) << said;
  EXPECT_NE(said.find("three\n"), said.npos) << said;
  EXPECT_EQ(said.find("one\n"), said.npos) << said;
}

}  // namespace
}  // namespace hf
