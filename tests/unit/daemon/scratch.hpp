// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A folder of one test's own, gone after it; and a made-up /proc in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace hf::test {

class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "holdfast-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(const std::string& name = {}) const { return name.empty() ? path_ : path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// A process of the made-up /proc, which started after so many clock ticks.
  void process(int pid, unsigned long long start_ticks, const std::string& comm = "a (b) c") const {
    std::string fields;
    for (int field = 4; field < 22; field++) fields += " 0";
    write(std::to_string(pid) + "/stat", std::to_string(pid) + " (" + comm + ") S" + fields + " " + std::to_string(start_ticks) + " 0 0\n");
  }

 private:
  std::string path_;
};

}  // namespace hf::test
