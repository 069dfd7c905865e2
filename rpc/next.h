// What a look at the head of a stream of messages finds.
#pragma once

namespace berth::rpc {

enum class Next {
  kMessage,
  kEnd,     // no more will come
  kNotYet,  // one may come later
};

}  // namespace berth::rpc
