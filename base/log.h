// The log: one line an event, "event key=value key=value", on standard error (journald adds the
// rest). Only edges log: main, the workflows' and the controllers' outcomes. Libraries
// return errors.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace berth {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void set_log_level(LogLevel level);

// A value is written as it is, or quoted when it has a space, a quote or is empty.
struct LogField {
  template <typename T>
  LogField(std::string_view key_text, const T& value_of)
      : key(key_text), value(fmt::format("{}", value_of)) {}
  std::string_view key;
  std::string value;
};

// log_event(LogLevel::kInfo, "attached", {{"vm", vm}, {"vpc", vpc}});
void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace berth
