#include "versioning/records.h"

#include "base/bytes.h"
#include "kv/record.h"

namespace tarn::versioning {
namespace {

constexpr std::string_view kCommitDomain("tarn.commit\0", 12);
constexpr uint8_t kCommitVersion = 1;
constexpr uint8_t kStored = 1;        // first byte of every binary record of this room
constexpr uint8_t kStoredCommit = 2;  // of a commit; 1 has neither pack nor filter

Error unknown_format(std::string_view subject) {
  return Error(Code::kCorrupt, std::string(subject),
               "a stored " + std::string(subject) +
                   " has a format that this version does not know: use the version that wrote it");
}

Result<base::Digest> read_digest(base::ByteReader& reader) {
  TRY_LET(const std::string_view bytes, reader.raw(32));
  return base::Digest(bytes);
}

Result<void> expect_version(base::ByteReader& reader, std::string_view subject) {
  TRY_LET(const uint8_t version, reader.u8());
  if (version != kStored) return unknown_format(subject);
  return {};
}

/// The 16 bytes of an id of the usual form, or nullopt.
std::optional<std::string> uuid_bytes(std::string_view id) {
  if (id.size() != 36) return std::nullopt;
  std::string hex;
  for (size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (id[i] == '-') || (id[i] >= 'A' && id[i] <= 'F')) return std::nullopt;
    if (!dash) hex.push_back(id[i]);
  }
  return base::from_hex(hex);
}

std::string uuid_text(std::string_view bytes16) {
  std::string text = base::to_hex(bytes16);
  for (const size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

/// The parts of a stored commit.
struct Stored {
  std::string_view canonical, root;
  std::string_view pack;  ///< 16 bytes when `uuid`, else text
  bool uuid = false;
  std::string_view filter;
};

Result<Stored> split_stored(base::ByteReader& in) {
  TRY_LET(const uint8_t version, in.u8());
  if (version != kStored && version != kStoredCommit) return unknown_format("commit");
  Stored parts;
  TRY_LET(parts.canonical, in.text());
  TRY_LET(parts.root, in.text());
  if (version == kStoredCommit) {
    TRY_LET(const uint8_t kind, in.u8());
    if (kind > 1) return in.corrupt("unknown kind of pack id");
    parts.uuid = kind == 1;
    TRY_LET(parts.pack, parts.uuid ? in.raw(16) : in.text());
    TRY_LET(parts.filter, in.text());
  }
  if (!in.empty()) return in.corrupt("bytes after the stored form");
  return parts;
}

}  // namespace

std::string canonical_commit(const Commit& commit, std::string_view repository_id, std::string_view branch) {
  base::ByteWriter out;
  out.raw(kCommitDomain);
  out.u8(kCommitVersion);
  out.text(repository_id);
  out.text(branch);
  out.varint(commit.parents.size());
  for (const CommitId& parent : commit.parents) out.raw(parent.digest().bytes());
  out.varint(commit.generation);
  out.raw(commit.root.id.bytes());
  out.text(commit.committer);
  out.text(commit.message);
  out.varint_signed(commit.date_ms);
  out.varint(commit.metadata.size());
  for (const auto& [key, value] : commit.metadata) {
    out.text(key);
    out.text(value);
  }
  return out.take();
}

CommitId commit_id(std::string_view canonical) { return CommitId(base::sha256(canonical)); }

std::string encode_commit(const Commit& commit, std::string_view repository_id, std::string_view branch) {
  base::ByteWriter out;
  out.u8(kStoredCommit);
  out.text(canonical_commit(commit, repository_id, branch));
  out.text(commit.root.encode());
  const auto uuid = uuid_bytes(commit.pack);
  out.u8(uuid ? 1 : 0);
  if (uuid)
    out.raw(*uuid);
  else
    out.text(commit.pack);
  out.text(commit.filter);
  return out.take();
}

Result<StoredCommit> decode_commit(std::string_view bytes, const std::optional<CommitId>& expected) {
  base::ByteReader outer(bytes, "commit");
  TRY_LET(const Stored parts, split_stored(outer));
  const std::string_view canonical = parts.canonical, root = parts.root;
  StoredCommit stored;
  stored.commit.id = commit_id(canonical);
  if (expected && stored.commit.id != *expected) return outer.corrupt("the record does not hash to its id");
  stored.commit.pack = parts.uuid ? uuid_text(parts.pack) : std::string(parts.pack);
  stored.commit.filter = parts.filter;

  base::ByteReader in(canonical, "commit");
  TRY_LET(const std::string_view domain, in.raw(kCommitDomain.size()));
  if (domain != kCommitDomain) return in.corrupt("not a commit record");
  TRY_LET(const uint8_t version, in.u8());
  if (version != kCommitVersion) return unknown_format("commit");
  TRY_LET(const std::string_view repository_id, in.text());
  TRY_LET(const std::string_view branch, in.text());
  stored.repository_id = repository_id;
  stored.branch = branch;
  TRY_LET(const uint64_t parents, in.varint());
  if (parents > in.remaining() / 32) return in.corrupt("more parents than bytes");
  for (uint64_t i = 0; i < parents; ++i) {
    TRY_LET(const base::Digest parent, read_digest(in));
    stored.commit.parents.emplace_back(parent);
  }
  TRY_LET(stored.commit.generation, in.varint());
  TRY_LET(const base::Digest root_id, read_digest(in));
  TRY_LET(const std::string_view committer, in.text());
  TRY_LET(const std::string_view message, in.text());
  stored.commit.committer = committer;
  stored.commit.message = message;
  TRY_LET(stored.commit.date_ms, in.varint_signed());
  TRY_LET(const uint64_t fields, in.varint());
  for (uint64_t i = 0; i < fields; ++i) {
    TRY_LET(const std::string_view key, in.text());
    TRY_LET(const std::string_view value, in.text());
    stored.commit.metadata.emplace(key, value);
  }
  if (!in.empty()) return in.corrupt("bytes after the record");
  TRY_LET(stored.commit.root, tree::Root::decode(root));
  if (stored.commit.root.id != root_id) return in.corrupt("the root beside the record is another one");
  return stored;
}

Result<CommitLinks> decode_links(std::string_view bytes) {
  base::ByteReader outer(bytes, "commit");
  TRY_LET(const Stored parts, split_stored(outer));
  base::ByteReader in(parts.canonical, "commit");
  TRY_LET(const std::string_view domain, in.raw(kCommitDomain.size()));
  if (domain != kCommitDomain) return in.corrupt("not a commit record");
  TRY_LET(const uint8_t version, in.u8());
  if (version != kCommitVersion) return unknown_format("commit");
  TRY(in.text());  // repository
  TRY(in.text());  // branch
  CommitLinks links;
  TRY_LET(const uint64_t parents, in.varint());
  if (parents > in.remaining() / 32) return in.corrupt("more parents than bytes");
  TRY_LET(links.parents, in.raw(static_cast<size_t>(parents) * 32));
  TRY_LET(links.generation, in.varint());
  TRY(in.raw(32));  // root
  TRY(in.text());   // committer
  TRY(in.text());   // message
  TRY_LET(links.date_ms, in.varint_signed());
  links.filter = parts.filter;
  return links;
}

std::string encode_repository(const Repository& r) {
  const tree::Parameters& p = r.parameters;
  return kv::encode_record(Json::object({
      {"name", r.name},
      {"id", r.id},
      {"storage_namespace", r.storage_namespace},
      {"default_branch", r.default_branch},
      {"created_ms", r.created_ms},
      {"read_only", r.read_only},
      {"seed", static_cast<int64_t>(p.seed)},
      {"sizes", Json::array({p.leaf_min, p.leaf_target, p.leaf_max, p.node_min, p.node_target, p.node_max})},
      {"metadata", base::to_json(r.metadata)},
  }));
}

Result<Repository> decode_repository(std::string_view bytes, kv::Sequence version) {
  TRY_LET(const Json json, kv::decode_record(bytes, "repository"));
  Repository r;
  r.name = json["name"].as_string();
  r.id = json["id"].as_string();
  r.storage_namespace = json["storage_namespace"].as_string();
  r.default_branch = json["default_branch"].as_string();
  r.created_ms = json["created_ms"].as_int();
  r.read_only = json["read_only"].as_bool();
  r.parameters.seed = static_cast<uint64_t>(json["seed"].as_int());
  const auto& sizes = json["sizes"].items();
  if (r.name.empty() || r.id.empty() || sizes.size() != 6)
    return Error(Code::kCorrupt, "repository", "a stored repository record lacks fields");
  const auto size = [&](size_t i) { return static_cast<uint32_t>(sizes[i].as_int()); };
  r.parameters.leaf_min = size(0);
  r.parameters.leaf_target = size(1);
  r.parameters.leaf_max = size(2);
  r.parameters.node_min = size(3);
  r.parameters.node_target = size(4);
  r.parameters.node_max = size(5);
  TRY_LET(r.metadata, json.string_map("metadata"));
  r.version = version;
  return r;
}

std::string encode_branch(const Branch& branch) {
  base::ByteWriter out;
  out.u8(kStored);
  out.text(branch.id);
  out.raw(branch.head.digest().bytes());
  out.varint(branch.committed_through);
  out.u8(branch.hidden ? 1 : 0);
  out.varint_signed(branch.created_ms);
  return out.take();
}

Result<Branch> decode_branch(std::string_view name, std::string_view bytes, kv::Sequence version) {
  base::ByteReader in(bytes, "branch");
  TRY(expect_version(in, "branch"));
  Branch branch;
  branch.name = name;
  TRY_LET(const std::string_view id, in.text());
  branch.id = id;
  TRY_LET(const base::Digest head, read_digest(in));
  branch.head = CommitId(head);
  TRY_LET(branch.committed_through, in.varint());
  TRY_LET(const uint8_t flags, in.u8());
  branch.hidden = (flags & 1) != 0;
  TRY_LET(branch.created_ms, in.varint_signed());
  branch.version = version;
  return branch;
}

std::string encode_tag(const CommitId& commit) {
  std::string out(33, static_cast<char>(kStored));
  commit.digest().bytes().copy(out.data() + 1, 32);
  return out;
}

Result<CommitId> decode_tag(std::string_view bytes) {
  base::ByteReader in(bytes, "tag");
  TRY(expect_version(in, "tag"));
  TRY_LET(const base::Digest digest, read_digest(in));
  return CommitId(digest);
}

std::string encode_protection(const std::vector<ProtectionRule>& rules) {
  Json list = Json::array();
  for (const ProtectionRule& rule : rules) list.push(Json::object({{"pattern", rule.pattern}}));
  return kv::encode_record(Json::object({{"rules", list}}));
}

Result<std::vector<ProtectionRule>> decode_protection(std::string_view bytes) {
  TRY_LET(const Json json, kv::decode_record(bytes, "protection"));
  std::vector<ProtectionRule> rules;
  for (const Json& rule : json["rules"].items()) rules.push_back({rule["pattern"].as_string()});
  return rules;
}

std::string etag_of(const std::vector<ProtectionRule>& rules) {
  return rules.empty() ? std::string() : base::sha256_hex(encode_protection(rules)).substr(0, 32);
}

bool glob_matches(std::string_view pattern, std::string_view name) {
  // Backtracks to the last '*' only, so the cost is the product of the two lengths at most.
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    bool matched = false;
    size_t next = p + 1;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = p++;
        resume = n;
        continue;
      }
      if (pattern[p] == '?') {
        matched = true;
      } else if (const size_t close = pattern[p] == '[' ? pattern.find(']', p + 2) : std::string_view::npos;
                 close != std::string_view::npos) {
        const bool negated = pattern[p + 1] == '!' || pattern[p + 1] == '^';
        for (size_t i = p + 1 + negated; i < close; ++i) {
          if (i + 2 < close && pattern[i + 1] == '-') {
            matched = matched || (pattern[i] <= name[n] && name[n] <= pattern[i + 2]);
            i += 2;
          } else {
            matched = matched || pattern[i] == name[n];
          }
        }
        matched = matched != negated;
        next = close + 1;
      } else {
        matched = pattern[p] == name[n];
      }
    }
    if (matched) {
      p = next;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool protects(const std::vector<ProtectionRule>& rules, std::string_view branch) {
  for (const ProtectionRule& rule : rules)
    if (glob_matches(rule.pattern, branch)) return true;
  return false;
}

std::string encode_staged(const std::optional<tree::Entry>& entry) {
  std::string out(1, static_cast<char>(kStored));
  out.push_back(entry ? '\x01' : '\x00');
  if (entry) out.append(tree::encode_entry(*entry));
  return out;
}

Result<std::optional<tree::Entry>> decode_staged(std::string_view bytes) {
  base::ByteReader in(bytes, "staged row");
  TRY(expect_version(in, "staged row"));
  TRY_LET(const uint8_t kind, in.u8());
  if (kind == 0) return std::optional<tree::Entry>();
  if (kind != 1) return in.corrupt("unknown kind");
  TRY_LET(tree::Entry entry, tree::decode_entry(in.rest()));
  return std::optional<tree::Entry>(std::move(entry));
}

std::string block_prefix(std::string_view storage_namespace) {
  const size_t colon = storage_namespace.find("://");
  std::string prefix;
  if (colon == std::string_view::npos) {
    prefix = storage_namespace;
  } else {
    const std::string_view scheme = storage_namespace.substr(0, colon);
    if (scheme != "local") prefix = std::string(scheme) + "/";
    prefix.append(storage_namespace.substr(colon + 3));
  }
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  prefix.push_back('/');
  return prefix;
}

}  // namespace tarn::versioning
