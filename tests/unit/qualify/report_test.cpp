// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "qualify/report.hpp"

#include "machine.hpp"

namespace hf::qualify {
namespace {

std::string page_of(const Facts& facts) {
  Collected collected;
  collected.facts = facts;
  return html(to_json(collected, judge(facts), "host"), history(collected));
}

TEST(Report, ThePageHasTheDataAndAsksNobodyForMore) {
  const auto page = page_of(good_facts());
  EXPECT_EQ(page.find("{\"holdfast\": \"data\"}"), std::string::npos);
  EXPECT_NE(page.find("\"schema\":\"holdfast.qualify/1\""), std::string::npos);
  for (const char* outside : {"http://", "https://", "@import", "url("}) {
    auto rest = page;
    // The name of a namespace is no address.
    const std::string svg = "http://www.w3.org/2000/svg";
    if (const auto at = rest.find(svg); at != std::string::npos) rest.erase(at, svg.size());
    EXPECT_EQ(rest.find(outside), std::string::npos) << outside;
  }
}

TEST(Report, NamesOfTheMachineCantBecomeMarkup) {
  auto facts = good_facts();
  facts.filesystem.files[0].path = "/mnt/pool/</script><script>alert(1)</script>";
  facts.filesystem.files[0].hole_bytes = 1;
  EXPECT_EQ(page_of(facts).find("<script>alert"), std::string::npos);
}

TEST(Report, NamesThatAreNoUtf8DontStopIt) {
  auto facts = good_facts();
  facts.filesystem.files[0].path = "/mnt/pool/\xff\xfe";
  EXPECT_NE(page_of(facts).find("mnt/pool"), std::string::npos);
}

}  // namespace
}  // namespace hf::qualify
