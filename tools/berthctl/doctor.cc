#include "tools/berthctl/doctor.h"

#include "rpc/certificate.h"

#include <algorithm>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

namespace berth::ctl {

using host::preflight::Finding;
using host::preflight::Verdict;

namespace {

constexpr std::chrono::days kSoon{7};

std::vector<Finding> check_files(const std::string& config_file) {
  const auto config = agent::load_config(config_file);
  if (config) return check_certificates(*config, std::chrono::system_clock::now());
  const bool is_absent = config.error().code == Code::kNotFound;
  return {
      {"certificates", is_absent ? Verdict::kUnknown : Verdict::kBad, config.error().message,
       is_absent ? "berthctl doctor --config FILE" : "correct it; docs/examples/berthd.toml has every key"}};
}

}  // namespace

std::vector<Finding> check_certificates(const agent::Config& config,
                                        std::chrono::system_clock::time_point now) {
  const std::string again = "make a new one (tools/certs shows its shape)";
  const auto facts = rpc::read_certificate({.certificate = config.api.certificate,
                                            .private_key = config.api.private_key,
                                            .trusted_ca = config.api.trusted_ca});
  if (!facts)
    return {{"certificates", Verdict::kBad, facts.error().message, "correct the file, or " + again}};
  std::vector<Finding> findings;
  const auto complain = [&](std::string what) {
    findings.push_back({"certificates", Verdict::kBad, std::move(what), again});
  };
  const std::string file = config.api.certificate.string();
  const std::string until = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(facts->not_after));
  if (now < facts->not_before) complain(file + " is not valid yet");
  if (now >= facts->not_after) {
    complain(fmt::format("{} expired at {}", file, until));
  } else if (now + kSoon >= facts->not_after) {
    complain(fmt::format("{} expires at {}", file, until));
  }
  const std::string wanted = fmt::format("spiffe://{}/agent/", config.api.trust_domain);
  const bool is_agent = facts->uri_sans.size() == 1 && facts->uri_sans.front().starts_with(wanted) &&
                        facts->uri_sans.front().size() > wanted.size();
  if (!is_agent) complain(fmt::format("{} must carry exactly one URI, {}<name>", file, wanted));
  if (findings.empty())
    findings.push_back({"certificates", Verdict::kGood, fmt::format("{}, until {}", file, until)});
  return findings;
}

std::string format_findings(const std::vector<Finding>& findings, Format format) {
  std::string text;
  if (format == Format::kJson) {
    boost::json::array all;
    for (const Finding& finding : findings) {
      all.push_back(boost::json::object{{"check", finding.check},
                                        {"verdict", host::preflight::verdict_name(finding.verdict)},
                                        {"what", finding.what},
                                        {"cure", finding.cure}});
    }
    return serialize(boost::json::object{{"ok", exit_code_of(findings) == 0}, {"findings", std::move(all)}}) +
           "\n";
  }
  for (const Finding& finding : findings) {
    text += fmt::format("{:<15} {:<13} {}{}{}\n", host::preflight::verdict_name(finding.verdict),
                        finding.check, finding.what, finding.cure.empty() ? "" : "; cure: ", finding.cure);
  }
  return text;
}

int exit_code_of(const std::vector<Finding>& findings) {
  const bool is_bad =
      std::ranges::any_of(findings, [](const Finding& finding) { return finding.verdict == Verdict::kBad; });
  return is_bad ? 1 : 0;
}

int run_doctor(int argc, char** argv) {
  CLI::App app("berthctl doctor: what is wrong with this host, and the cure", "berthctl doctor");
  std::string config_file = "/etc/berth/berthd.toml";
  host::preflight::Host host{.root = "/", .probes = host::preflight::probes_of_this_machine()};
  bool json = false;
  app.add_option("--config", config_file, "berthd's, for its certificates")->capture_default_str();
  app.add_option("--root", host.root, "another host's / (its /sys and /proc)")->capture_default_str();
  app.add_flag("--json", json, "one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (host.root != "/") host.probes = {};  // they ask this machine
  auto findings = host::preflight::check_host(host);
  for (Finding& finding : check_files(config_file)) findings.push_back(std::move(finding));
  fmt::print("{}", format_findings(findings, json ? Format::kJson : Format::kText));
  return exit_code_of(findings);
}

}  // namespace berth::ctl
