// A folder of a test's own: new, empty and named by nobody else, so that two runs never meet, and removed
// with all that is in it when the test is over, however it ends.
#pragma once

#include <cerrno>
#include <filesystem>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <system_error>

namespace berth::testing {

class TestFolder {
 public:
  // `name` is a word for the person who finds the folder of a test that was killed: berth-<name>- and six
  // letters, in `parent`. Throws std::filesystem::filesystem_error when there can be none.
  explicit TestFolder(std::string_view name,
                      const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    const auto wanted = parent / ("berth-" + std::string(name) + "-" + std::string(6, 'X'));  // mkdtemp(3)
    std::string made = wanted.string();
    if (::mkdtemp(made.data()) == nullptr)
      throw std::filesystem::filesystem_error("mkdtemp", wanted, {errno, std::generic_category()});
    path_ = made;
  }
  ~TestFolder() {
    std::error_code ignored;  // what is left over is no reason to fail a test that has passed
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // In memory, where there is such a place.
  static std::filesystem::path fast_parent() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
  }
  std::filesystem::path operator/(const std::filesystem::path& inside) const { return path_ / inside; }

 private:
  std::filesystem::path path_;
};

}  // namespace berth::testing
