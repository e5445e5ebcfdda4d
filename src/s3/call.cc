#include "s3/call.h"

#include <fmt/format.h>

#include <algorithm>

#include "s3/conditions.h"
#include "s3/errors.h"
#include "versioning/records.h"

namespace tarn::s3 {

Result<void> Call::need_path() const {
  if (!address.is_ref_root()) return {};
  return refuse("NoSuchKey", "The specified key does not exist: a key is <branch, tag or commit>/<path>");
}

Result<size_t> Call::count(std::string_view name, size_t otherwise) const {
  const auto text = query(name);
  if (!text || text->empty()) return otherwise;
  const auto value = parse_number(*text);
  if (!value || *value > INT32_MAX)
    return refuse("InvalidArgument", fmt::format("Argument {} must be an integer between 0 and 2147483647", name));
  return static_cast<size_t>(std::min<uint64_t>(*value, 1'000));
}

Result<bool> Call::url_encoding() const {
  const auto type = query("encoding-type");
  if (!type || type->empty()) return false;
  if (*type != "url")
    return refuse("InvalidArgument", "Invalid Encoding Method specified in Request: only url is known");
  return true;
}

Result<void> check_takes_writes(const Call& call) {
  const Address& at = call.address;
  TRY_LET(const auto repository, call.engine().get_repository(call.ctx, at.bucket));
  if (repository.read_only)
    return Error(Code::kForbidden, "repository", fmt::format("repository '{}' is read-only", at.bucket));
  const auto branch = call.engine().get_branch(call.ctx, repository, at.ref);
  if (!branch) return explain_write(call, at, branch.error());
  TRY_LET(const auto rules, call.engine().protection(call.ctx, repository));
  if (versioning::protects(rules, at.ref))
    return Error(Code::kForbidden, "branch",
                 fmt::format("branch '{}' is protected: write to another branch and merge it", at.ref));
  return {};
}

Error explain_write(const Call& call, const Address& address, Error error) {
  const bool no_branch = error.code() == Code::kNotFound && error.subject() == "branch";
  const bool bad_branch = error.code() == Code::kInvalid && error.subject() == "branch";
  if (!no_branch && !bad_branch) return error;
  const auto repository = call.engine().get_repository(call.ctx, address.bucket);
  if (!repository) return repository.error();
  if (call.engine().resolve(call.ctx, *repository, address.ref))
    return refuse("AccessDenied",
                  fmt::format("'{}' is a tag or a commit, and those never change: write to a branch", address.ref));
  return error.wrap(Code::kNotFound, "write_branch",
                    fmt::format("branch '{}' does not exist in repository '{}': the first part of a key is its branch; "
                                "create it first",
                                address.ref, address.bucket));
}

}  // namespace tarn::s3
