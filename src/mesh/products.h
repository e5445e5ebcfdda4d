#pragma once
// Domains and products: one repository, one protected trunk, one set of definitions a product.
#include <string>

#include "mesh/incidents.h"
#include "mesh/proposals.h"
#include "mesh/publications.h"
#include "mesh/world.h"

namespace tarn::mesh {

class Products {
 public:
  Products(World& world, DefinitionReader& definitions, Proposals& proposals, Publications& publications,
           Incidents& incidents)
      : world_(world),
        definitions_(definitions),
        proposals_(proposals),
        publications_(publications),
        incidents_(incidents) {}

  /// @param body {"name", "owner"}. Repeating it changes the owner. Errors: kForbidden (administrators only), kInvalid.
  Result<Json> create_domain(const Context& ctx, const Actor& actor, const Json& body);
  Result<Json> domains(const Context& ctx);
  /// Repeating it finishes what an interrupted call began, or gives the product as it is.
  /// Errors: kInvalid (names, definitions), kForbidden (not the domain's owner), kAlreadyExists (another product's
  ///         repository), kNotFound (domain).
  Result<Json> create(const Context& ctx, const Actor& actor, const Json& body);
  Result<Json> list(const Context& ctx);
  Result<Json> describe(const Context& ctx, std::string_view domain, std::string_view name);
  /// Domains, products with health, and subscriptions as edges.
  Result<Json> graph(const Context& ctx);
  /// History as a metadata operation: links a folder below a prefix of the trunk, reports on it, publishes what is
  /// clean.
  /// @param body {"from": "local:///abs/folder/", "to": "weather/"}.
  Result<Json> onboard_history(const Context& ctx, const Actor& actor, const std::string& repository, const Json& body);
  /// Scope digests of every port, input and the lock files.
  Result<Json> digests(const Context& ctx, const std::string& repository, const std::string& ref);

 private:
  Result<Json> summary(const Context& ctx, const Json& product);
  World& world_;
  DefinitionReader& definitions_;
  Proposals& proposals_;
  Publications& publications_;
  Incidents& incidents_;
};

}  // namespace tarn::mesh
