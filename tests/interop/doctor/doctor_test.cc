#include "tools/berthctl/doctor.h"

#include "tests/fakes/test_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::ctl {
namespace {

using namespace std::chrono_literals;
using host::preflight::Finding;
using host::preflight::Verdict;
using ::testing::HasSubstr;

class DoctorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto& folder = folder_.emplace("doctor").path();
    ASSERT_EQ(std::system(fmt::format("{} {} > /dev/null 2>&1", BERTH_CERTS_TOOL, folder.string()).c_str()),
              0);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static agent::Config config(const std::string& certificate, const std::string& key) {
    agent::Config config;
    config.api = {.certificate = *folder_ / certificate,
                  .private_key = *folder_ / key,
                  .trusted_ca = *folder_ / "ca.crt",
                  .trust_domain = "berth.test"};
    return config;
  }
  static Finding only(const agent::Config& config, std::chrono::system_clock::duration from_now = 0s) {
    const auto findings = check_certificates(config, std::chrono::system_clock::now() + from_now);
    EXPECT_EQ(findings.size(), 1U);
    return findings.front();
  }

  static inline std::optional<testing::TestFolder> folder_;
};

TEST_F(DoctorTest, AgentsCertificateIsGood) {
  EXPECT_EQ(only(config("agent.crt", "agent.key")).verdict, Verdict::kGood);
}

TEST_F(DoctorTest, KeyOfAnotherIsNamed) {
  const Finding found = only(config("agent.crt", "vmaas.key"));
  EXPECT_EQ(found.verdict, Verdict::kBad);
  EXPECT_THAT(found.what, HasSubstr("vmaas.key"));
}

TEST_F(DoctorTest, MissingFileIsNamed) {
  EXPECT_THAT(only(config("absent.crt", "agent.key")).what, HasSubstr("absent.crt"));
}

TEST_F(DoctorTest, AnotherRoleIsNoAgent) {
  const Finding found = only(config("vmaas.crt", "vmaas.key"));
  EXPECT_EQ(found.verdict, Verdict::kBad);
  EXPECT_THAT(found.what, HasSubstr("spiffe://berth.test/agent/"));
}

TEST_F(DoctorTest, AnotherTrustDomainIsNoAgent) {
  agent::Config other = config("agent.crt", "agent.key");
  other.api.trust_domain = "example.org";
  EXPECT_THAT(only(other).what, HasSubstr("spiffe://example.org/agent/"));
}

TEST_F(DoctorTest, DatesAreJudged) {
  const agent::Config good = config("agent.crt", "agent.key");
  EXPECT_THAT(only(good, -24h * 2).what, HasSubstr("not valid yet"));
  EXPECT_THAT(only(good, 24h * 365 * 50).what, HasSubstr("expired at"));
}

TEST(DoctorText, OneLineEachWithTheCure) {
  const std::vector<Finding> findings = {
      {"iommu", Verdict::kGood, "on, 3 groups"},
      {"vfio", Verdict::kBad, "module vfio_pci is not loaded", "modprobe"}};
  EXPECT_EQ(format_findings(findings, Format::kText),
            "good            iommu         on, 3 groups\n"
            "bad             vfio          module vfio_pci is not loaded; cure: modprobe\n");
  const auto json = boost::json::parse(format_findings(findings, Format::kJson)).as_object();
  EXPECT_FALSE(json.at("ok").as_bool());
  EXPECT_EQ(json.at("findings").as_array().at(1).at("cure"), "modprobe");
}

TEST(DoctorExitCode, OnlyWhatIsBadCounts) {
  EXPECT_EQ(
      exit_code_of(
          {{"a", Verdict::kGood, ""}, {"b", Verdict::kUnknown, ""}, {"c", Verdict::kNotApplicable, ""}}),
      0);
  EXPECT_EQ(exit_code_of({{"a", Verdict::kGood, ""}, {"b", Verdict::kBad, ""}}), 1);
}

TEST_F(DoctorTest, CommandEndsWithItsVerdict) {
  const auto run = [](std::vector<std::string> words) {
    std::vector<char*> raw;
    for (std::string& word : words) raw.push_back(word.data());
    return run_doctor(static_cast<int>(raw.size()), raw.data());
  };
  EXPECT_EQ(run({"doctor", "--root", "/nonexistent", "--config", "/nonexistent"}), 1);  // no hugepages there
  EXPECT_EQ(run({"doctor", "--nonsense"}), 2);
}

}  // namespace
}  // namespace berth::ctl
