// berthctl doctor: what is wrong with this host and with berthd's files, one line each with its cure. It
// speaks with nobody: berthd need not run.
#pragma once

#include "agent/config.h"
#include "host/preflight/preflight.h"
#include "tools/berthctl/print.h"

#include <chrono>
#include <string>
#include <vector>

namespace berth::ctl {

// berthd's certificate: readable, of its key, in time, with the one URI that says it is an agent.
std::vector<host::preflight::Finding> check_certificates(const agent::Config& config,
                                                         std::chrono::system_clock::time_point now);

// "bad             sriov      0000:3b:00.0 has 0 of 16 VFs; cure: ..." a line, or one JSON object.
std::string format_findings(const std::vector<host::preflight::Finding>& findings, Format format);

// 1 when anything is bad, 0 otherwise.
int exit_code_of(const std::vector<host::preflight::Finding>& findings);

// The command. 2: wrong usage.
int run_doctor(int argc, char** argv);

}  // namespace berth::ctl
