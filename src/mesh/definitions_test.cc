#include "mesh/definitions.h"

#include <gtest/gtest.h>

#include "base/yaml.h"

namespace tarn::mesh {
namespace {

Result<Pipeline> pipeline_of(std::string_view yaml) {
  const auto document = base::parse_yaml(yaml);
  EXPECT_TRUE(document) << document.error().text();
  return parse_pipeline("_mesh/pipelines/daily.yaml", *document);
}

TEST(PortName, SplitsProductPortAndMajor) {
  const auto name = parse_port_name("weather/hourly:hourly@2");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->product, "weather/hourly");
  EXPECT_EQ(name->port, "hourly");
  EXPECT_EQ(name->major, 2);
  EXPECT_EQ(parse_port_name("weather/hourly:hourly")->major, 1);
  EXPECT_EQ(parse_port_name("hourly@2").error().code(), Code::kInvalid);
  EXPECT_EQ(parse_port_name("weather/hourly:hourly@new").error().code(), Code::kInvalid);
}

TEST(Partition, IsReadFromTheHivePathBelowThePrefix) {
  EXPECT_EQ(partition_of("weather/date=2013-10-25/a.parquet", "weather/", "date"), "2013-10-25");
  EXPECT_EQ(partition_of("weather/x/date=2013-10-25/a.parquet", "weather/", "date"), "2013-10-25");
  EXPECT_FALSE(partition_of("flights/date=2013-10-25/a.parquet", "weather/", "date"));
  EXPECT_FALSE(partition_of("weather/date=2013-10-25", "weather/", "date"));  // a file of that name, not a folder
  EXPECT_FALSE(partition_of("weather/a.parquet", "weather/", ""));
}

TEST(Pipeline, OrdersJobsByWhatTheyWaitFor) {
  const auto pipeline = pipeline_of(
      "pipeline: daily\ntrigger: {onInputs: [a], partition: date}\njobs:\n"
      "  last: {after: [left, right], writes: [out/]}\n"
      "  left: {after: [first], writes: [l/]}\n"
      "  right: {after: [first], writes: [r/]}\n"
      "  first: {writes: [f/]}\n");
  ASSERT_TRUE(pipeline) << pipeline.error().text();
  EXPECT_EQ(pipeline->jobs.front().name, "first");
  EXPECT_EQ(pipeline->jobs.back().name, "last");
  EXPECT_TRUE(pipeline->serializable);
}

TEST(Pipeline, RefusesSiblingsThatWriteToTheSamePlace) {
  const auto pipeline = pipeline_of("pipeline: daily\njobs:\n  a: {writes: [out/]}\n  b: {writes: [out/x/]}\n");
  ASSERT_FALSE(pipeline);
  EXPECT_NE(pipeline.error().message().find("side by side"), std::string::npos);
  EXPECT_TRUE(pipeline_of("pipeline: daily\njobs:\n  a: {writes: [out/]}\n  b: {after: [a], writes: [out/x/]}\n"));
}

TEST(Pipeline, RefusesCyclesAndUnknownJobs) {
  EXPECT_FALSE(pipeline_of("pipeline: p\njobs:\n  a: {after: [b], writes: [a/]}\n  b: {after: [a], writes: [b/]}\n"));
  EXPECT_FALSE(pipeline_of("pipeline: p\njobs:\n  a: {after: [nobody], writes: [a/]}\n"));
  EXPECT_FALSE(pipeline_of("pipeline: p\njobs:\n  a: {writes: [a]}\n"));
  EXPECT_FALSE(pipeline_of("pipeline: p\n"));
}

TEST(Pipeline, PutsTheRunKeyIntoScopes) {
  EXPECT_EQ(with_run_key("out/date={run_key}/x={run_key}/", "2013-10-01"), "out/date=2013-10-01/x=2013-10-01/");
}

TEST(Inputs, NameUnknownKeysAndModes) {
  const auto inputs = [](std::string_view yaml) { return parse_inputs("_mesh/inputs.yaml", *base::parse_yaml(yaml)); };
  const auto fine =
      inputs("inputs:\n  w: {from: 'weather/hourly:hourly@1', path: inputs/w/, mode: every, onFail: queue}\n");
  ASSERT_TRUE(fine) << fine.error().text();
  EXPECT_EQ(fine->front().branch, "ingest--w");
  EXPECT_EQ(fine->front().on_withdraw, "freeze");
  EXPECT_NE(inputs("inputs:\n  w: {from: 'a/b:c', path: w/, colour: red}\n").error().message().find("colour"),
            std::string::npos);
  EXPECT_FALSE(inputs("inputs:\n  w: {from: 'a/b:c', path: w/, mode: sometimes}\n"));
  EXPECT_FALSE(inputs("inputs:\n  w: {from: 'a/b:c', path: w}\n"));
}

TEST(Definitions, NameTheFileOfAContractWithAnUnknownRule) {
  Definitions into;
  const auto bad = add_definition(
      "_mesh/contracts/x.odcs.yaml",
      "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nstatus: active\nschema:\n"
      "  - name: x\n    physicalName: x/\n    properties: [{name: a, logicalType: string}]\n    quality:\n"
      "      - {id: r, type: library, metric: vibes, mustBe: 0}\n",
      into);
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message().find("_mesh/contracts/x.odcs.yaml"), std::string::npos);
  EXPECT_NE(bad.error().message().find("vibes"), std::string::npos) << bad.error().message();
  EXPECT_FALSE(add_definition("_mesh/inputs.yaml", "inputs: [", into));
}

TEST(NamedLocks, ServeInTheOrderOfArrival) {
  NamedLocks locks;
  std::vector<int> order;
  std::atomic<int> arrived{0};
  auto first = std::make_unique<NamedLocks::Held>(locks, "main");
  std::vector<base::Thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      while (arrived.load() != i) base::system_clock().sleep_ms(1);
      arrived.fetch_add(1);
      const NamedLocks::Held held(locks, "main");
      order.push_back(i);
    });
    while (arrived.load() != i + 1) base::system_clock().sleep_ms(1);
    base::system_clock().sleep_ms(20);
  }
  const NamedLocks::Held other(locks, "another");  // never waits for main
  first.reset();
  threads.clear();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

}  // namespace
}  // namespace tarn::mesh
