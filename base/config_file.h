// Reading a program's configuration file (TOML). Unknown sections and keys are errors: a misspelt key must
// not silently mean its default. The first thing that is wrong is the one that is told.
#pragma once

#include "base/error.h"
#include "base/eswitch_config.h"
#include "base/log.h"

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <toml.hpp>

namespace berth {

// NOT_FOUND (BAD_CONFIG) when it cannot be read.
Result<std::string> read_config_file(const std::filesystem::path& file);
// INVALID_ARGUMENT (BAD_CONFIG).
Result<toml::value> parse_toml(const std::string& text, const std::string& name);

void check_sections(const toml::value& root, const std::set<std::string>& known, Error& first_error);

// Section "log", which every program has.
LogLevel read_log_level(const toml::value& root, Error& first_error);

class Section;

// Section "underlay" of the programs that make tunnels.
UnderlayConfig read_underlay(const toml::value& root, Error& first_error);
// Of section "eswitch": the ports, and, after them, how whoever holds the eSwitch runs it.
void read_ports(Section& eswitch, EswitchConfig& config);
void read_engine(Section& eswitch, EswitchConfig& config);

// One table of the file. `first_error` is set, by the time that this is destroyed, when it has no message yet
// and something is wrong; keys that nobody asked for are wrong.
class Section {
 public:
  Section(const toml::value& root, std::string name, Error& first_error);
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;
  ~Section();

  std::string required_string(const std::string& key);
  std::string string(const std::string& key, std::string otherwise);
  std::int64_t integer(const std::string& key, std::int64_t otherwise, std::int64_t least, std::int64_t most);
  bool boolean(const std::string& key, bool otherwise);
  // A list of texts; none when it is not there.
  std::vector<std::string> strings(const std::string& key);
  void complain(const std::string& key, const std::string& why);

 private:
  const toml::value* find(const std::string& key);

  std::string name_;
  toml::table table_;
  std::set<std::string> asked_;
  Error& error_;
};

}  // namespace berth
