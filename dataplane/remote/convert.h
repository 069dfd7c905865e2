// Between the values of dataplane/eswitch.h and the messages of eswitch.proto, for both ends. What does
// not say what it should is INVALID_ARGUMENT (MALFORMED_RULE, MALFORMED_ANSWERS), naming the field.
#pragma once

#include "base/error.h"
#include "berth/eswitch/v1/eswitch.pb.h"
#include "dataplane/eswitch.h"

namespace berth::dataplane::remote {

namespace v1 = berth::eswitch::v1;

constexpr std::uint32_t kProtocol = 1;
// Of one ApplyRequest; the rpc layer's limit of a message's bytes (rpc/limits.h) has room for them.
constexpr int kMaxBatch = 4096;

Result<EswitchPort> read_port(std::uint32_t number);

void write_rule(const Rule& rule, v1::Rule& message);
void write_key(const RuleKey& key, v1::RuleKey& message);
Result<Rule> read_rule(const v1::Rule& message);
Result<RuleKey> read_key(const v1::RuleKey& message);

void write_change(const RuleChange& change, v1::Change& message);
Result<RuleChange> read_change(const v1::Change& message);

void write_digest(const RuleDigest& digest, v1::Digest& message);
Result<RuleDigest> read_digest(const v1::Digest& message);

void write_answers(const PortAnswers& answers, v1::Answers& message);
Result<PortAnswers> read_answers(const v1::Answers& message);
void write_slow_path(const SlowPathState& state, v1::SlowPath& message);
Result<SlowPathState> read_slow_path(const v1::SlowPath& message);

}  // namespace berth::dataplane::remote
