// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "daemon/metrics.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "base/fd.hpp"
#include "daemon/metrics_server.hpp"
#include "scratch.hpp"

namespace hf {
namespace {

TEST(MetricsText, HasTheFormOfOpenMetrics) {
  MetricsText text(MetricsText::Form::kOpenMetrics);
  text.counter("hf_things", "Things.");
  text.sample(7u, {{"kind", "a \"quoted\"\\\nname"}});
  text.gauge("hf_age_seconds", "Age.");
  text.sample(1.5);
  EXPECT_EQ(std::move(text).text(),
            "# TYPE hf_things counter\n# HELP hf_things Things.\nhf_things_total{kind=\"a \\\"quoted\\\"\\\\\\nname\"} 7\n"
            "# TYPE hf_age_seconds gauge\n# UNIT hf_age_seconds seconds\n# HELP hf_age_seconds Age.\nhf_age_seconds 1.5\n# EOF\n");
}

TEST(MetricsText, HasTheFormOfPrometheus) {
  MetricsText text(MetricsText::Form::kPrometheus);
  text.counter("hf_things", "Things.");
  text.sample(7u);
  EXPECT_EQ(std::move(text).text(), "# TYPE hf_things_total counter\n# HELP hf_things_total Things.\nhf_things_total 7\n");
}

TEST(MetricsText, BucketsOfAHistogramAddUp) {
  Durations durations;
  for (const auto ns : {50'000ull, 5'000'000ull, 20'000'000'000ull}) durations.add(ns);
  MetricsText text(MetricsText::Form::kPrometheus);
  text.histogram("hf_delay_seconds", "Delay.");
  durations.write(text);
  const auto said = std::move(text).text();
  EXPECT_NE(said.find("hf_delay_seconds_bucket{le=\"0.0001\"} 1\n"), std::string::npos) << said;
  EXPECT_NE(said.find("hf_delay_seconds_bucket{le=\"0.01\"} 2\n"), std::string::npos) << said;
  EXPECT_NE(said.find("hf_delay_seconds_bucket{le=\"10\"} 2\n"), std::string::npos) << said;
  EXPECT_NE(said.find("hf_delay_seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos) << said;
  EXPECT_NE(said.find("hf_delay_seconds_count 3\n"), std::string::npos) << said;
}

TEST(MetricsAddress, IsThisMachinesOnly) {
  for (const char* good : {"unix:/run/x.sock", "127.0.0.1:9739", "127.1.2.3:1", "localhost:80", "[::1]:9739", "none"})
    EXPECT_TRUE(check_metrics_address(good)) << good;
  for (const char* bad :
       {"", "0.0.0.0:9739", "192.0.2.1:80", "[::]:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "unix:x", "unix:", "127.0.0.1:9739x", "example:1"})
    EXPECT_FALSE(check_metrics_address(bad)) << bad;
}

class AServer : public ::testing::Test {
 protected:
  AServer() {
    EXPECT_TRUE(server.listen("unix:" + path));
    thread = std::thread([this] { io.run(); });
  }
  ~AServer() override {
    io.stop();
    thread.join();
  }
  std::string ask(const std::string& request) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address)) return "no connection";
    (void)!::write(socket.get(), request.data(), request.size());
    std::string answer;
    char block[4096];
    for (ssize_t count; (count = ::read(socket.get(), block, sizeof block)) > 0;) answer.append(block, static_cast<std::size_t>(count));
    return answer;
  }

  test::Scratch scratch;
  std::string path = scratch.path("metrics.sock");
  Status health;
  asio::io_context io;
  MetricsServer server{io,
                       {.metrics = [](MetricsText::Form form) { return form == MetricsText::Form::kOpenMetrics ? std::string("open") : std::string("plain"); },
                        .health = [this] { return health; }}};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::thread thread;
};

TEST_F(AServer, AnswersAScrapeInTheFormThatWasAskedFor) {
  const auto plain = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(plain.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")) << plain;
  EXPECT_TRUE(plain.ends_with("\r\n\r\nplain"));
  const auto open = ask("GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n");
  EXPECT_NE(open.find("application/openmetrics-text"), std::string::npos);
  EXPECT_TRUE(open.ends_with("\r\n\r\nopen"));
}

TEST_F(AServer, TellsOfItsHealth) {
  EXPECT_TRUE(ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
  health = fail(EIO, "the gate is gone");
  EXPECT_TRUE(ask("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503"));
}

TEST_F(AServer, RefusesEverythingElse) {
  EXPECT_TRUE(ask("GET /etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(ask("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
  EXPECT_EQ(ask(std::string(MetricsServer::kRequestBytesMax + 1, 'x')), "") << "a request without an end is not waited for";
}

}  // namespace
}  // namespace hf
