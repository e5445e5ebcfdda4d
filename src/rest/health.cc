#include "rest/answers.h"
#include "rest/handlers.h"

namespace tarn::rest {

// GET /healthcheck — operation healthCheck. 204.
Answer health_check(Call&) { return no_content(); }

// POST /statistics — operation postStatsEvents. 204; nothing is kept and nothing is sent anywhere.
Answer post_stats_events(Call&) { return no_content(); }

}  // namespace tarn::rest
