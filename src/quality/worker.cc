#include "quality/worker.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>

#include <fmt/core.h>

#include "base/json.h"
#include "base/mutex.h"
#include "quality/channel.h"
#include "quality/duckdb_api.h"
#include "quality/sandbox.h"

namespace tarn::quality {
namespace {

class Worker {
 public:
  explicit Worker(int channel) : channel_(channel) {}

  int serve() {
    auto hello = receive_message(channel_);
    if (!hello) return 0;
    auto request = Json::parse(hello->text);
    if (!request) return 2;
    const auto ready = start(*request);
    if (!ready) {
      (void)send_message(channel_, Json::object({{"error", ready.error().message()}}).dump());
      return 3;
    }
    Json lacking = Json::array();
    for (const std::string& part : *ready) lacking.push(part);
    reader_ = base::Thread([this] { read_requests(); });
    if (!reply(Json::object({{"version", api_->duckdb_library_version()}, {"lacking", std::move(lacking)}}).dump()))
      return 0;
    while (true) {
      Message message = next();
      auto parsed = Json::parse(message.text);
      const std::string answer = parsed ? handle(*parsed, message) : error_text(parsed.error().message());
      if (!reply(answer)) leave();
    }
  }

 private:
  static std::string error_text(std::string_view what) { return Json::object({{"error", what}}).dump(); }
  bool reply(const std::string& text) { return send_message(channel_, text).ok(); }
  /// The server is gone: nothing here is worth an orderly end.
  [[noreturn]] static void leave() { _exit(0); }

  // Runs on the reader's thread: sees an interrupt, or the server's end, while a query runs.
  void read_requests() {
    while (true) {
      auto message = receive_message(channel_);
      if (!message) leave();
      if (message->text == R"({"op":"interrupt"})") {
        base::Lock lock(mutex_);
        if (running_) api_->duckdb_interrupt(connection_);
        continue;
      }
      base::Lock lock(mutex_);
      queue_.push_back(*std::move(message));
      ready_.notify_one();
    }
  }

  Message next() {
    base::Lock lock(mutex_);
    ready_.wait(lock, [this] { return !queue_.empty(); });
    Message message = std::move(queue_.front());
    queue_.pop_front();
    return message;
  }

  Result<std::vector<std::string>> start(const Json& request) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const auto needed = static_cast<rlim_t>(kStoreBase) + kStoreSlots;
    if (files.rlim_max < needed)
      return Error(Code::kUnavailable, "worker",
                   fmt::format("a check worker needs {} open files, the limit is {}: raise it with ulimit -Hn", needed,
                               files.rlim_max));
    TRY_LET(api_, load_duckdb(request["library"].as_string()));
    SandboxLimits limits;
    limits.address_space_bytes = request["address_space_mb"].as_int(4096) << 20;
    limits.cpu_seconds = request["cpu_seconds"].as_int(3600);
    // DuckDB looks at the machine while it starts (with one thread, so that the filter covers all that come later).
    TRY(open_database(request));
    std::vector<std::string> lacking = enter_sandbox(limits);
    TRY(lock_database(request));
    return lacking;
  }

  Result<void> open_database(const Json& request) {
    DuckHandle config = nullptr;
    api_->duckdb_create_config(&config);
    const std::string memory = fmt::format("{}MB", request["memory_mb"].as_int(512));
    const std::pair<const char*, const char*> options[] = {{"threads", "1"},
                                                           {"memory_limit", memory.c_str()},
                                                           {"autoinstall_known_extensions", "false"},
                                                           {"autoload_known_extensions", "false"},
                                                           {"allow_community_extensions", "false"},
                                                           {"enable_external_file_cache", "false"},
                                                           {"max_temp_directory_size", "0KiB"}};
    for (const auto& [name, value] : options)
      if (api_->duckdb_set_config(config, name, value) != kDuckOk) {
        api_->duckdb_destroy_config(&config);
        return Error(Code::kUnavailable, "duckdb", fmt::format("this DuckDB does not know the setting {}", name));
      }
    char* error = nullptr;
    const DuckState opened = api_->duckdb_open_ext(":memory:", &database_, config, &error);
    api_->duckdb_destroy_config(&config);
    if (opened != kDuckOk) {
      const std::string text = error ? error : "unknown";
      if (error) api_->duckdb_free(error);
      return Error(Code::kUnavailable, "duckdb", "DuckDB does not start: " + text);
    }
    return connect();
  }

  Result<void> lock_database(const Json& request) {
    std::string paths;
    for (size_t i = 0; i < kGrantsMax; ++i) paths += fmt::format("{}'{}'", i ? ", " : "", grant_path(i));
    for (const std::string& sql :
         {fmt::format("SET allowed_paths = [{}]", paths), fmt::format("SET threads = {}", request["threads"].as_int(1)),
          std::string("SET temp_directory = ''"), std::string("SET GLOBAL TimeZone = 'UTC'"),
          std::string("SET enable_external_access = false"), std::string("SET lock_configuration = true")})
      TRY(command(sql));
    return {};
  }

  Result<void> connect() {
    if (connection_) api_->duckdb_disconnect(&connection_);
    if (api_->duckdb_connect(database_, &connection_) != kDuckOk)
      return Error(Code::kUnavailable, "duckdb", "DuckDB gives no connection");
    return {};
  }

  Result<void> command(const std::string& sql) {
    DuckResult result;
    const DuckState state = api_->duckdb_query(connection_, sql.c_str(), &result);
    const char* text = state == kDuckOk ? nullptr : api_->duckdb_result_error(&result);
    const std::string error = text ? text : "";
    api_->duckdb_destroy_result(&result);
    if (state != kDuckOk) return Error(Code::kUnavailable, "duckdb", error);
    return {};
  }

  std::string handle(const Json& request, Message& message) {
    const std::string& op = request["op"].as_string();
    if (op == "put") return put(request, message);
    if (op == "begin") return begin();
    if (op == "grant") return grant(request);
    if (op == "query") return query(request);
    return error_text("unknown request " + op);
  }

  std::string put(const Json& request, Message& message) {
    const auto& slots = request["slots"].items();
    if (slots.size() != message.files.size()) return error_text("as many files as slots are needed");
    for (size_t i = 0; i < slots.size(); ++i) {
      const int64_t slot = slots[i].as_int(-1);
      if (slot < 0 || slot >= static_cast<int64_t>(kStoreSlots)) return error_text("no such slot");
      if (dup3(message.files[i].get(), kStoreBase + static_cast<int>(slot), O_CLOEXEC) < 0)
        return error_text("cannot keep an object");
    }
    return "{}";
  }

  std::string begin() {
    for (size_t i = 0; i < granted_; ++i) close(kGrantBase + static_cast<int>(i));
    granted_ = 0;
    base::Lock lock(mutex_);
    const auto connected = connect();
    return connected ? "{}" : error_text(connected.error().message());
  }

  std::string grant(const Json& request) {
    auto index = static_cast<size_t>(request["first"].as_int());
    for (const Json& slot : request["slots"].items()) {
      const int64_t s = slot.as_int(-1);
      if (s < 0 || s >= static_cast<int64_t>(kStoreSlots) || index >= kGrantsMax) return error_text("no such slot");
      if (dup3(kStoreBase + static_cast<int>(s), kGrantBase + static_cast<int>(index), O_CLOEXEC) < 0)
        return error_text("cannot grant an object that was not handed over");
      granted_ = std::max(granted_, ++index);
    }
    return "{}";
  }

  /// Refuses everything but one SELECT.
  Result<void> screen(const std::string& sql) {
    DuckHandle statements = nullptr;
    const DuckIndex count = api_->duckdb_extract_statements(connection_, sql.c_str(), &statements);
    std::string problem;
    if (count == 0) {
      const char* why = api_->duckdb_extract_statements_error(statements);
      problem = why ? why : "the query is empty";
    } else if (count > 1) {
      problem = fmt::format("exactly one statement is allowed, the query has {}", count);
    } else {
      DuckHandle statement = nullptr;
      if (api_->duckdb_prepare_extracted_statement(connection_, statements, 0, &statement) != kDuckOk) {
        const char* why = api_->duckdb_prepare_error(statement);
        problem = why ? why : "the query cannot be prepared";
      } else if (api_->duckdb_prepared_statement_type(statement) != kDuckStatementSelect) {
        problem = "only SELECT is allowed";
      }
      api_->duckdb_destroy_prepare(&statement);
    }
    api_->duckdb_destroy_extracted(&statements);
    if (!problem.empty()) return Error(Code::kInvalid, "query", problem);
    return {};
  }

  std::string query(const Json& request) {
    std::string sql = request["sql"].as_string();
    const int64_t rows_max = request["rows"].as_int(1000);
    if (request["user"].as_bool()) {
      const auto fine = screen(sql);
      if (!fine) return error_text(fine.error().message());
      while (!sql.empty() && (sql.back() == ';' || std::isspace(static_cast<unsigned char>(sql.back()))))
        sql.pop_back();
      sql = fmt::format("SELECT * FROM (\n{}\n) LIMIT {}", sql, rows_max + 1);
    }
    set_running(true);
    DuckResult result;
    const DuckState state = api_->duckdb_query(connection_, sql.c_str(), &result);
    set_running(false);
    std::string answer;
    if (state != kDuckOk) {
      const char* text = api_->duckdb_result_error(&result);
      answer = error_text(text && *text ? text : "the query failed");
    } else {
      answer = rows_text(result, static_cast<DuckIndex>(rows_max));
    }
    api_->duckdb_destroy_result(&result);
    return answer;
  }

  void set_running(bool on) {
    base::Lock lock(mutex_);
    running_ = on;
  }

  std::string rows_text(DuckResult& result, DuckIndex rows_max) {
    base::JsonWriter out;
    const DuckIndex columns = api_->duckdb_column_count(&result);
    const DuckIndex rows = api_->duckdb_row_count(&result);
    out.begin_object().key("columns").begin_array();
    for (DuckIndex c = 0; c < columns; ++c) out.value(api_->duckdb_column_name(&result, c));
    out.end_array().key("rows").begin_array();
    for (DuckIndex r = 0; r < std::min(rows, rows_max); ++r) {
      out.begin_array();
      for (DuckIndex c = 0; c < columns; ++c) value(out, result, c, r);
      out.end_array();
    }
    out.end_array().key("more").value(rows > rows_max).end_object();
    return out.take();
  }

  void value(base::JsonWriter& out, DuckResult& result, DuckIndex c, DuckIndex r) {
    if (api_->duckdb_value_is_null(&result, c, r)) {
      out.raw("null");
      return;
    }
    const DuckType type = api_->duckdb_column_type(&result, c);
    if (type == kDuckBoolean) {
      out.value(api_->duckdb_value_boolean(&result, c, r));
      return;
    }
    char* text = api_->duckdb_value_varchar(&result, c, r);
    const std::string_view view = text ? text : "";
    if (is_json_number(type, view))
      out.raw(view);
    else
      out.value(view);
    if (text) api_->duckdb_free(text);
  }

  /// Whole numbers beyond 64 bits and "nan" or "inf" stay text.
  static bool is_json_number(DuckType type, std::string_view text) {
    if (type >= kDuckTinyint && type <= kDuckUbigint) return text.size() < 19;
    if (type == kDuckHugeint) return text.size() < 18;
    if (type == kDuckDecimal) return text.size() < 16 && !text.starts_with('.') && !text.starts_with("-.");
    if (type != kDuckFloat && type != kDuckDouble) return false;
    return text.find_first_not_of("0123456789.eE+-") == std::string_view::npos && !text.starts_with('.');
  }

  int channel_;
  const DuckApi* api_ = nullptr;
  DuckHandle database_ = nullptr;
  DuckHandle connection_ = nullptr;
  size_t granted_ = 0;
  base::Thread reader_;
  base::Mutex mutex_;
  base::Condition ready_;
  std::deque<Message> queue_;
  bool running_ = false;
};

}  // namespace

std::string grant_path(size_t index) { return fmt::format("/proc/self/fd/{}", kGrantBase + index); }

int check_worker_main(int channel) {
  shed_inheritance(channel);
  // Never destroyed: the process ends with its threads wherever they are.
  auto* worker = new Worker(channel);
  _exit(worker->serve());
}

}  // namespace tarn::quality
