// The contract, on the embedded engine behind the rule holder's protocol: what berth-eswitchd is.
#include "tests/contract/embedded_backend.h"
#include "tests/contract/remote_backend.h"

namespace berth::testing {
namespace {

struct RemoteEmbedded {
  static dataplane::Eswitch& eswitch() {
    return SharedRemote::instance(loop(), Embedded::eswitch(), "embedded").client;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(RemoteEmbedded, EswitchContract, RemoteEmbedded);

}  // namespace
}  // namespace berth::testing
