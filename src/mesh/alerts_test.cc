#include "mesh/alerts.h"

#include "mesh/testing/house.h"

namespace tarn::mesh {
namespace {

using testing::must;

class Alert : public ::testing::Test {
 protected:
  Alert() {
    house_.found();
    house_.start();
  }
  /// "<url's end> <status>" of each message to a webhook, in the order of arrival.
  std::vector<std::string> heard() {
    std::vector<std::string> out;
    for (const auto& r : house_.receiver.got()) {
      const Json body = *Json::parse(r.body);
      const std::string name = r.url.substr(r.url.rfind('/') + 1);
      if (body.is_object()) out.push_back(name + " " + body["status"].as_string());
    }
    return out;
  }
  static size_t count(const std::vector<std::string>& list, const std::string& wanted) {
    return static_cast<size_t>(std::count(list.begin(), list.end(), wanted));
  }
  Json delivery(const std::string& channel) {
    return must(house_.mesh->incidents.get(house_.ctx, 1))["deliveries"][channel];
  }
  testing::House house_;
};

TEST_F(Alert, FiresOnceAndResolvesOnceOnEachChannel) {
  house_.add_channel("one");
  house_.add_channel("two");
  house_.publish_bad("2013-10-25");
  house_.settle();
  EXPECT_EQ(heard().size(), 2u);
  house_.publish("2013-10-25");
  house_.later(60'000);
  const auto all = heard();
  EXPECT_EQ(all.size(), 4u);
  for (const char* what : {"one firing", "two firing", "one resolved", "two resolved"}) EXPECT_EQ(count(all, what), 1u);
  EXPECT_EQ(delivery("one")["firing"]["id"].as_string(), "INC-1/one/firing");
  EXPECT_EQ(delivery("two")["resolved"]["state"].as_string(), "delivered");
}

TEST_F(Alert, IsRepeatedUntilTheReceiverTakesItAndThenNoMore) {
  house_.add_channel("one");
  house_.receiver.fail(3);
  house_.publish_bad("2013-10-25");
  house_.settle();
  EXPECT_TRUE(heard().empty());
  for (int i = 0; i < 10; ++i) house_.later(60'000);
  EXPECT_EQ(heard(), (std::vector<std::string>{"one firing"}));
  EXPECT_EQ(house_.receiver.asked(), 4);
  EXPECT_EQ(delivery("one")["firing"]["attempts"].as_int(), 4);
}

TEST_F(Alert, TheEndIsToldAfterTheBeginningEvenWhenTheReceiverWasDown) {
  house_.add_channel("one");
  house_.receiver.fail(2);
  house_.publish_bad("2013-10-25");
  house_.settle();
  house_.publish("2013-10-25");
  for (int i = 0; i < 10; ++i) house_.later(10'000);
  EXPECT_EQ(heard(), (std::vector<std::string>{"one firing", "one resolved"}));
}

// Goal: a receiver can tell a repetition. Method: the step runs again as after a crash between sending and storing.
TEST_F(Alert, ARepetitionCarriesTheSameDeliveryId) {
  house_.add_channel("one");
  tasks::Task task;
  house_.receiver.fail(1'000'000);
  house_.publish_bad("2013-10-25");
  house_.settle();
  house_.receiver.fail(0);
  task.input = Json::object({{"incident", 1}, {"channel", "one"}, {"phase", "firing"}});
  must(house_.mesh->alerts.deliver(house_.ctx, task));
  must(house_.mesh->alerts.deliver(house_.ctx, task));
  const auto got = house_.receiver.got();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].body, got[1].body);
  ASSERT_TRUE(got[0].headers.find("x-tarn-delivery"));
  EXPECT_EQ(*got[0].headers.find("x-tarn-delivery"), *got[1].headers.find("x-tarn-delivery"));
}

TEST_F(Alert, AlertmanagerIsRemindedWithTheSameIdWhileItIsOpenAndToldTheEndOnce) {
  house_.add_channel("am", "alertmanager");
  house_.publish_bad("2013-10-25");
  house_.settle();
  for (int i = 0; i < 3; ++i) house_.later(30'000);
  house_.publish("2013-10-25");
  for (int i = 0; i < 5; ++i) house_.later(30'000);
  std::set<std::string> ids;
  int firing = 0, ended = 0;
  for (const auto& r : house_.receiver.got()) {
    const Json alert = Json::parse(r.body)->items().front();
    EXPECT_TRUE(r.url.ends_with("/api/v2/alerts")) << r.url;
    EXPECT_EQ(alert["labels"]["incident"].as_string(), "INC-1");
    if (alert["endsAt"].is_string()) {
      ++ended;
    } else {
      ++firing;
      ids.insert(alert["annotations"]["delivery_id"].as_string());
    }
  }
  EXPECT_EQ(firing, 4);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(ids, (std::set<std::string>{"INC-1/am/firing"}));
}

TEST_F(Alert, AnIncidentThatIsSeenAgainIsRenewedAndNotToldAgain) {
  house_.add_channel("one");
  const Json refused = house_.publish_bad("2013-10-25");
  must(house_.mesh->proposals.retry(house_.ctx, house_.ann, refused["id"].as_string()));
  house_.settle();
  ASSERT_EQ(house_.incidents().size(), 1u);
  EXPECT_EQ(house_.incidents().front()["times_seen"].as_int(), 2);
  EXPECT_EQ(heard().size(), 1u);
  EXPECT_EQ(house_.events("mesh.incident.opened"), 1);
}

TEST_F(Alert, AChannelThatWasTakenAwayKeepsNobodyWaiting) {
  house_.add_channel("one");
  house_.receiver.fail(1'000'000);
  house_.publish_bad("2013-10-25");
  house_.settle();
  kv::Batch away;
  away.erase(keys::channel("one"));
  must(house_.kv->apply(house_.ctx, away));
  house_.later(60'000);
  for (const tasks::Task& task : must(house_.tasks->list(house_.ctx, "mesh-deliver")))
    EXPECT_EQ(task.state, tasks::State::kDone);
}

TEST_F(Alert, ChannelsAreCheckedWhenTheyAreAdded) {
  const auto add = [&](const char* kind, const char* url) {
    return house_.mesh->alerts.add_channel(house_.ctx, Json::object({{"name", "x"}, {"kind", kind}, {"url", url}}));
  };
  EXPECT_EQ(add("pager", "http://127.0.0.1/").error().code(), Code::kInvalid);
  EXPECT_EQ(add("webhook", "ftp://127.0.0.1/").error().code(), Code::kInvalid);
  EXPECT_TRUE(add("webhook", "http://127.0.0.1/"));
}

}  // namespace
}  // namespace tarn::mesh
