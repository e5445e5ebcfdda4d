#pragma once
// From errors of the house to those of S3.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
#include <string_view>

#include "base/result.h"

namespace tarn::s3 {

struct S3Code {
  std::string_view name;
  int status;
};

/// By code and subject. Cost: one scan of a short table.
S3Code code_of(const Error& error);

/// An error that only S3 knows; `name` must be one of errors.cc's own list ("InvalidArgument", "NotImplemented" …).
Error refuse(std::string_view name, std::string message);

}  // namespace tarn::s3
