#pragma once
// The map from errors to answers, in one place.
#include "base/context.h"
#include "base/result.h"
#include "http/response.h"

namespace tarn::rest {

/// Source: the error table of lakeFS's API v1; subjects that it answers otherwise than the code are named inside.
int status_of(const Error& error);
/// {"message": …} with the status; logs what is the server's fault.
http::Response answer(const Context& ctx, const Error& error);

}  // namespace tarn::rest
