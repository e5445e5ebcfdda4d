#include "base/run_token.h"

namespace tarn::base {
namespace {
thread_local RunTokens* held = nullptr;
thread_local int pauses = 0;
}  // namespace

bool RunTokens::try_acquire() {
  int now = available_.load();
  while (now > 0) {
    if (available_.compare_exchange_weak(now, now - 1)) return true;
  }
  return false;
}

void RunTokens::release() {
  const int now = available_.fetch_add(1) + 1;
  // In this order, with a waiter doing the opposite (wanted, then available): one of the two sees the other. While more
  // run than there are tokens, none became free.
  if (now > 0 && wanted_.load() > 0 && listener_) listener_();
}

RunToken::RunToken(RunTokens& tokens) : outer_(held) { held = &tokens; }

RunToken::~RunToken() {
  held->release();
  held = outer_;
}

RunToken::Pause::Pause() {
  if (pauses++ == 0 && held != nullptr) held->release();
}

RunToken::Pause::~Pause() {
  if (--pauses == 0 && held != nullptr) held->acquire_now();
}

}  // namespace tarn::base
