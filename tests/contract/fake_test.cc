#include "tests/contract/eswitch_contract.h"
#include "tests/fakes/fake_eswitch.h"

namespace berth::testing {
namespace {

struct Fake {
  static dataplane::Eswitch& eswitch() {
    static FakeEswitch instance(2);
    return instance;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, EswitchContract, Fake);

}  // namespace
}  // namespace berth::testing
