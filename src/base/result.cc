#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace tarn::base {

std::string_view name_of(Code code) {
  switch (code) {
    case Code::kInvalid:
      return "kInvalid";
    case Code::kUnauthenticated:
      return "kUnauthenticated";
    case Code::kForbidden:
      return "kForbidden";
    case Code::kNotFound:
      return "kNotFound";
    case Code::kAlreadyExists:
      return "kAlreadyExists";
    case Code::kConflict:
      return "kConflict";
    case Code::kMergeConflict:
      return "kMergeConflict";
    case Code::kRefused:
      return "kRefused";
    case Code::kGone:
      return "kGone";
    case Code::kTooLarge:
      return "kTooLarge";
    case Code::kUnsupported:
      return "kUnsupported";
    case Code::kBusy:
      return "kBusy";
    case Code::kUnavailable:
      return "kUnavailable";
    case Code::kNoSpace:
      return "kNoSpace";
    case Code::kDeadline:
      return "kDeadline";
    case Code::kCancelled:
      return "kCancelled";
    case Code::kCorrupt:
      return "kCorrupt";
    case Code::kUnknownOutcome:
      return "kUnknownOutcome";
    case Code::kInternal:
      return "kInternal";
  }
  return "kInternal";
}

std::string Error::text() const {
  std::string line(name_of(code_));
  line.append(" ").append(subject_).append(": ").append(message_);
  if (cause_) line.append("; because ").append(cause_->text());
  return line;
}

void fail_assertion(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "tarn: broken promise in the program: %s (%s:%d); please report this\n", expression, file, line);
  std::abort();
}

}  // namespace tarn::base
