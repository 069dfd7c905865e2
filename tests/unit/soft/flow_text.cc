#include "tests/unit/soft/flow_text.h"

#include "tests/unit/soft/flow_words.h"

#include <arpa/inet.h>
#include <cstring>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <rte_byteorder.h>
#include <rte_ether.h>

namespace berth::soft::test {
namespace {

class Parser {
 public:
  explicit Parser(const std::string& text) : words_(text) {}

  FlowText parse() {
    FlowText flow;
    flow_ = &flow;
    for (std::string word = next(); word != "pattern"; word = next()) {
      if (word == "transfer")
        flow.attr.transfer = 1;
      else if (word == "ingress")
        flow.attr.ingress = 1;
      else if (word == "egress")
        flow.attr.egress = 1;
      else if (word == "group")
        flow.attr.group = number32();
      else if (word == "priority")
        flow.attr.priority = number32();
      else
        fail(word);
    }
    flow.pattern = pattern("end");
    if (next() != "actions") fail("actions expected");
    actions();
    return flow;
  }

 private:
  [[noreturn]] static void fail(const std::string& word) { throw std::runtime_error("flow text: " + word); }

  std::string next() {
    std::string word;
    if (!(words_ >> word)) fail("unexpected end");
    return word;
  }
  std::string peek() {
    const auto at = words_.tellg();
    std::string word;
    words_ >> word;
    words_.clear();
    words_.seekg(at);
    return word;
  }
  std::uint32_t number32() { return static_cast<std::uint32_t>(std::stoull(next(), nullptr, 0)); }

  template <typename T>
  T* make(std::size_t bytes = sizeof(T)) {
    auto& words = flow_->storage.emplace_back((bytes + 7) / 8 + 1, 0);
    return reinterpret_cast<T*>(words.data());
  }

  static void put(std::uint8_t* at, const Field& field, const std::string& text) {
    switch (field.kind) {
      case Kind::kMac:
        if (rte_ether_unformat_addr(text.c_str(), reinterpret_cast<rte_ether_addr*>(at + field.offset)) !=
            0) {
          fail(text);
        }
        return;
      case Kind::kIpv4:
        if (inet_pton(AF_INET, text.c_str(), at + field.offset) != 1) fail(text);
        return;
      case Kind::kIpv6:
        if (inet_pton(AF_INET6, text.c_str(), at + field.offset) != 1) fail(text);
        return;
      case Kind::kBit: {
        std::uint32_t word = 0;
        std::memcpy(&word, at + field.offset, 4);
        word |= static_cast<std::uint32_t>(std::stoul(text)) << field.size;
        std::memcpy(at + field.offset, &word, 4);
        return;
      }
      case Kind::kBig:
      case Kind::kHost:
        break;
    }
    const std::uint64_t value = std::stoull(text, nullptr, 0);
    for (std::size_t i = 0; i < field.size; ++i) {
      const std::size_t shift = 8 * (field.kind == Kind::kBig ? field.size - 1 - i : i);
      at[field.offset + i] = static_cast<std::uint8_t>(value >> shift);
    }
  }

  static void put_prefix(std::uint8_t* at, const Field& field, std::size_t bits) {
    for (std::size_t bit = 0; bit < bits; ++bit)
      at[field.offset + bit / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
  }

  static void put_full(std::uint8_t* at, const Field& field) {
    if (field.kind == Kind::kBit) return put(at, field, "1");
    std::memset(at + field.offset, 0xff, field.size);
  }

  std::vector<rte_flow_item> pattern(const std::string& end) {
    std::vector<rte_flow_item> result;
    for (std::string word = next(); word != end; word = next()) {
      if (word == "/") continue;
      const auto found = items().find(word);
      if (found == items().end()) fail(word);
      result.push_back(item(found->second, end == "}"));
    }
    result.push_back({RTE_FLOW_ITEM_TYPE_END, nullptr, nullptr, nullptr});
    return result;
  }

  // In an encapsulation a field is "name value".
  rte_flow_item item(const Item& shape, bool in_encap) {
    std::uint8_t* spec = nullptr;
    std::uint8_t* last = nullptr;
    std::uint8_t* mask = nullptr;
    const auto need = [&](std::uint8_t*& part) {
      if (part == nullptr) part = make<std::uint8_t>(shape.size);
      return part;
    };
    if (in_encap) need(spec);
    for (std::string word = peek(); word != "/" && word != "}"; word = peek()) {
      next();
      if (word == "null_mask") {
        has_null_mask_ = true;
        continue;
      }
      const auto found = shape.fields.find(word);
      if (found == shape.fields.end()) fail(word);
      const Field& field = found->second;
      if (in_encap) {
        put(spec, field, next());
        continue;
      }
      const std::string how = next();
      const std::string value = next();
      if (how == "is") {
        put(need(spec), field, value);
        put_full(need(mask), field);
      } else if (how == "spec") {
        put(need(spec), field, value);
        need(mask);
      } else if (how == "mask") {
        put(need(mask), field, value);
      } else if (how == "last") {
        put(need(last), field, value);
      } else if (how == "prefix") {
        put_prefix(need(mask), field, std::stoul(value));
      } else {
        fail(how);
      }
    }
    if (std::exchange(has_null_mask_, false)) mask = nullptr;
    return {shape.type, spec, last, in_encap ? nullptr : mask};
  }

  void add(rte_flow_action_type type, const void* conf = nullptr) { flow_->actions.push_back({type, conf}); }

  void actions() {
    for (std::string word = next(); word != "end"; word = next()) {
      if (word == "/") continue;
      action(word);
    }
    add(RTE_FLOW_ACTION_TYPE_END);
  }

  void action(const std::string& word) {
    static const std::map<std::string, rte_flow_action_type> kPlain{
        {"void", RTE_FLOW_ACTION_TYPE_VOID},
        {"drop", RTE_FLOW_ACTION_TYPE_DROP},
        {"meter_mark", RTE_FLOW_ACTION_TYPE_METER_MARK},
        {"vxlan_decap", RTE_FLOW_ACTION_TYPE_VXLAN_DECAP},
        {"of_pop_vlan", RTE_FLOW_ACTION_TYPE_OF_POP_VLAN},
        {"dec_ttl", RTE_FLOW_ACTION_TYPE_DEC_TTL},
        {"sample", RTE_FLOW_ACTION_TYPE_SAMPLE},
        {"raw_encap", RTE_FLOW_ACTION_TYPE_RAW_ENCAP},
        {"raw_decap", RTE_FLOW_ACTION_TYPE_RAW_DECAP},
        {"mark", RTE_FLOW_ACTION_TYPE_MARK},
        {"queue", RTE_FLOW_ACTION_TYPE_QUEUE},
        {"conntrack", RTE_FLOW_ACTION_TYPE_CONNTRACK},
        {"of_push_vlan", RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN},
        {"of_set_vlan_vid", RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID},
        {"set_tag", RTE_FLOW_ACTION_TYPE_SET_TAG},
    };
    if (const auto plain = kPlain.find(word); plain != kPlain.end()) return add(plain->second);
    if (const auto known = test::actions().find(word); known != test::actions().end())
      return add(known->second.type, configuration(known->second));
    if (word == "count") return add(RTE_FLOW_ACTION_TYPE_COUNT, make<rte_flow_action_count>());
    if (word == "encap_null") return add(RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP);
    if (word == "modify_field") return modify();
    if (word == "vxlan_encap") return encap();
    if (word == "jump") {
      auto* conf = make<rte_flow_action_jump>();
      if (next() != "group") fail("group expected");
      conf->group = number32();
      return add(RTE_FLOW_ACTION_TYPE_JUMP, conf);
    }
    if (word == "represented_port" || word == "port_representor") {
      auto* conf = make<rte_flow_action_ethdev>();
      if (next() != "ethdev_port_id") fail("ethdev_port_id expected");
      conf->port_id = static_cast<std::uint16_t>(number32());
      return add(word == "represented_port" ? RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT
                                            : RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR,
                 conf);
    }
    if (word == "age") {
      auto* conf = make<rte_flow_action_age>();
      if (next() != "timeout") fail("timeout expected");
      conf->timeout = number32() & 0xffffff;
      return add(RTE_FLOW_ACTION_TYPE_AGE, conf);
    }
    if (word == "meter") {
      auto* conf = make<rte_flow_action_meter>();
      if (next() != "mtr_id") fail("mtr_id expected");
      conf->mtr_id = number32();
      return add(RTE_FLOW_ACTION_TYPE_METER, conf);
    }
    fail(word);
  }

  // "name value" each.
  const void* configuration(const Action& shape) {
    std::uint8_t* conf = nullptr;
    for (std::string word = peek(); word != "/"; word = peek()) {
      next();
      const auto found = shape.fields.find(word);
      if (found == shape.fields.end()) fail(word);
      if (conf == nullptr) conf = make<std::uint8_t>(shape.size);
      put(conf, found->second, next());
    }
    return conf;
  }

  void encap() {
    if (next() != "{") fail("{ expected");
    const std::vector<rte_flow_item> definition = pattern("}");
    auto* list = make<rte_flow_item>(definition.size() * sizeof(rte_flow_item));
    std::memcpy(list, definition.data(), definition.size() * sizeof(rte_flow_item));
    auto* conf = make<rte_flow_action_vxlan_encap>();
    conf->definition = list;
    add(RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP, conf);
  }

  void modify() {
    auto* conf = make<rte_flow_action_modify_field>();
    for (std::string word = peek(); word != "/"; word = peek()) {
      next();
      const std::string value = next();
      if (word == "op") {
        conf->operation = value == "set"   ? RTE_FLOW_MODIFY_SET
                          : value == "add" ? RTE_FLOW_MODIFY_ADD
                                           : RTE_FLOW_MODIFY_SUB;
      } else if (word == "dst_type") {
        conf->dst.field = modify_targets().at(value);
      } else if (word == "dst_level") {
        conf->dst.level = static_cast<std::uint32_t>(std::stoul(value));
      } else if (word == "dst_offset") {
        conf->dst.offset = static_cast<std::uint32_t>(std::stoul(value));
      } else if (word == "src_type") {
        conf->src.field = modify_targets().at(value);
      } else if (word == "src_value") {
        const std::string digits = value.starts_with("0x") ? value.substr(2) : value;
        for (std::size_t i = 0; i + 1 < digits.size() && i < 32; i += 2) {
          conf->src.value[i / 2] = static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16));
        }
      } else if (word == "width") {
        conf->width = static_cast<std::uint32_t>(std::stoul(value));
      } else {
        fail(word);
      }
    }
    add(RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, conf);
  }

  std::istringstream words_;
  FlowText* flow_ = nullptr;
  bool has_null_mask_ = false;
};

}  // namespace

FlowText parse_flow(const std::string& text) {
  return Parser(text).parse();
}

}  // namespace berth::soft::test
