// The cases that test_service_client plays with Debian's grpc++, and how they complain.
#pragma once

#include <grpcpp/channel.h>
#include <memory>

namespace berth::test {

// Counts and prints a failure.
void expect(bool holds, const char* what);
#define EXPECT(condition) ::berth::test::expect(condition, #condition)

// Google's interoperability cases, over grpc.testing.TestService.
void run_standard_cases(const std::shared_ptr<grpc::Channel>& channel);
// Health, reflection, and errors with details.
void run_more_cases(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace berth::test
