#include "host/boot_id.h"

#include <fstream>

namespace berth::host {

std::string read_boot_id(const std::filesystem::path& proc) {
  std::ifstream file(proc / "sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace berth::host
