// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/certificate.hpp"

#include "machine.hpp"

namespace hf::qualify {
namespace {

std::string made(const Facts& facts) { return certificate(facts, judge(facts), "host").dump(2); }

std::vector<std::string> changed(const Facts& before, const Facts& now) {
  const auto read = read_certificate(made(before));
  if (!read) {
    ADD_FAILURE() << read.error().message;
    return {};
  }
  std::vector<std::string> lines;
  for (const auto& change : changes(*read, now, judge(now))) lines.push_back(text(change));
  return lines;
}

TEST(Certificate, MatchesWhatItWasMadeOf) { EXPECT_EQ(changed(good_facts(), good_facts()), std::vector<std::string>()); }

TEST(Certificate, IsNotTriedAgainToBeVerified) {
  auto now = good_facts();
  now.proof = {};
  EXPECT_EQ(changed(good_facts(), now), std::vector<std::string>());
}

TEST(Certificate, SaysWhatChanged) {
  auto now = good_facts();
  now.kernel.support.release = "7.4.0";
  now.gate.seals = 0;
  now.filesystem.swap_files = {"/mnt/pool/swap"};
  now.adapters.clear();
  now.configuration["/etc/holdfast/holdfast.toml"] = "0123456789abcdef";
  now.neighbours.copytruncates = {{"/etc/logrotate.d/app:1", "/mnt/pool/*.log"}};
  const auto lines = changed(good_facts(), now);
  for (const char* part :
       {"kernel release: 7.3.4 is now 7.4.0", "gate seals", "filesystem swap files: new: /mnt/pool/swap", "adapters mlx5_0: gone",
        "configuration /etc/holdfast/holdfast.toml: new", "neighbours /etc/logrotate.d/app:1 copytruncate: new", "results gate.seals: pass is now fail"})
    EXPECT_TRUE(says(lines, part)) << part;
}

TEST(Certificate, OneThatWasEditedIsNone) {
  auto text = made(good_facts());
  const auto at = text.find("7.3.4");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 5, "7.3.5");
  const auto read = read_certificate(text);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("changed after it was made"), std::string::npos);
}

TEST(Certificate, AnythingElseIsNone) {
  for (const char* text : {"", "[]", "{}", "{\"schema\": \"holdfast.certificate/1\"}", "{\"schema\": 7, \"sha256\": \"\"}", "nonsense"})
    EXPECT_FALSE(read_certificate(text)) << text;
}

TEST(Certificate, ADigestForEachSection) {
  const auto facts = good_facts();
  const auto json = certificate(facts, judge(facts), "host");
  for (const char* section : {"kernel", "filesystem", "adapters", "gate", "configuration", "catalogue", "neighbours"}) {
    ASSERT_TRUE(json["digests"].contains(section)) << section;
    EXPECT_EQ(json["digests"][section].get<std::string>().size(), 64u);
  }
}

}  // namespace
}  // namespace hf::qualify
