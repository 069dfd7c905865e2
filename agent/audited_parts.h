// What the reconciler is responsible for, as parts of the audit.
#pragma once

#include "agent/audit.h"
#include "agent/reconciler.h"

namespace berth::agent {

class AuditedRules : public AuditedPart {
 public:
  explicit AuditedRules(Reconciler& reconciler) : reconciler_(reconciler) {}
  std::string_view name() const override { return "rules"; }
  Task<std::vector<std::string>> check(std::vector<Attachment>) override {
    return reconciler_.find_rule_drift();
  }
  Task<void> repair(std::vector<Attachment>) override { return reconciler_.repair_rules(); }

 private:
  Reconciler& reconciler_;
};

class AuditedAnswers : public AuditedPart {
 public:
  explicit AuditedAnswers(Reconciler& reconciler) : reconciler_(reconciler) {}
  std::string_view name() const override { return "answers"; }
  Task<std::vector<std::string>> check(std::vector<Attachment>) override {
    return reconciler_.find_answer_drift();
  }
  Task<void> repair(std::vector<Attachment>) override { return reconciler_.repair_answers(); }

 private:
  Reconciler& reconciler_;
};

}  // namespace berth::agent
