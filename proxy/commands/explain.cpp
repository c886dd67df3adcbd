#include <future>
#include <istream>
#include <map>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <variant>

#include "proxy/analysis/analysis.hpp"
#include "proxy/bson/builder.hpp"
#include "proxy/bson/json_layout.hpp"
#include "proxy/cluster/namespaces.hpp"
#include "proxy/commands/commands.hpp"
#include "proxy/commands/explain_plan.hpp"
#include "proxy/commands/text.hpp"
#include "proxy/session/describe.hpp"
#include "proxy/session/gateway_hello.hpp"
#include "proxy/wire/message.hpp"

namespace fieldgate::commands {
namespace {

constexpr std::string_view blanks = " \t\r\n";
// Views lead to namespaces, which may be views again.
constexpr int questions_max = 100;
constexpr std::size_t slice_bytes = std::size_t{1} << 20;

// What is wrong with what was read.
struct InputError {
    std::string text;
};

// The end of the first JSON object, whose text begins with its bracket; the size if it has none.
std::size_t end_of_object(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string) {
            if (c == '\\') ++at;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{') {
            ++depth;
        } else if (c == '}' && --depth == 0) {
            return at + 1;
        }
    }
    return text.size();
}

std::variant<bson::Buffer, InputError> read_command(std::istream& in, std::size_t bytes_max) {
    std::string text;
    char chunk[4096];
    while (in.read(chunk, sizeof chunk) || in.gcount() > 0) {
        text.append(chunk, static_cast<std::size_t>(in.gcount()));
        if (text.size() > bytes_max)
            return InputError{"the command is longer than " + std::to_string(bytes_max) + " bytes"};
    }
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string::npos)
        return InputError{R"(no command on standard input: write one as JSON, {"find": "patients", ...})"};
    const std::string_view json = std::string_view(text).substr(begin);
    if (json.front() != '{') return InputError{"a command is a JSON object, which begins with {"};
    const std::size_t end = end_of_object(json);
    auto command = bson::from_json(json.substr(0, end));
    if (!command) return InputError{"the command is no extended JSON: " + command.error().message()};
    if (json.find_first_not_of(blanks, end) != std::string_view::npos)
        return InputError{"something follows the command: one at a time is explained"};
    return std::move(*command);
}

// With its `$db`.
std::variant<bson::Buffer, InputError> with_database(bson::Buffer command, const std::string& database) {
    const auto document = bson::DocumentView::unchecked(command);
    if (document.empty()) return InputError{"the command is empty"};
    const bool has_database = document.find("$db").has_value();
    if (has_database && !database.empty())
        return InputError{"the command has a `$db`: leave out --database, or the other"};
    if (!has_database && database.empty())
        return InputError{"the command has no `$db`: add it, or give --database"};
    if (has_database) return command;
    bson::Buffer out;
    bson::Builder builder(out);
    for (const bson::Element& element : document) builder.append_element(element);
    builder.append_string("$db", database).finish();
    return out;
}

// What is known of namespaces: ordinary collections, unless the cluster is asked.
class AskedCatalog final : public analysis::Catalog {
 public:
    AskedCatalog(const config::Config& config, bool connect) {
        if (!connect) return;
        resolver_.emplace(
            cluster::NamespaceOptions{.uri = config.upstream.uri,
                                      .facts_of = &analysis::facts_of,
                                      .selection_timeout = config.upstream.election_wait,
                                      .log = [this](cluster::Severity, std::string_view message,
                                                    std::string_view) { last_words_ = message; }});
    }
    const analysis::NamespaceFacts* find(std::string_view database,
                                         std::string_view collection) const override {
        static const analysis::NamespaceFacts ordinary;
        if (!resolver_) return &ordinary;
        const auto known = known_.find({std::string(database), std::string(collection)});
        return known == known_.end() ? nullptr : &known->second;
    }
    // Empty: everything is known now; else why not.
    std::string ask(const std::vector<analysis::NamespaceName>& names) {
        std::promise<cluster::NamespaceAnswers> promise;
        resolver_->resolve(names,
                           [&](cluster::NamespaceAnswers answers) { promise.set_value(std::move(answers)); });
        for (auto& [name, facts] : promise.get_future().get()) {
            if (!facts)
                return name.database + "." + name.collection + ": " +
                       (last_words_.empty() ? "the cluster does not say what it is" : last_words_);
            known_[name] = std::move(*facts);
        }
        return {};
    }

 private:
    std::map<analysis::NamespaceName, analysis::NamespaceFacts> known_;
    std::string last_words_;
    std::optional<cluster::NamespaceResolver> resolver_;
};

// An analysis that has come to its end.
class Analysed {
 public:
    using Step = analysis::RequestAnalysis::Step;

    Analysed(const wire::OpMsg& message, const analysis::Context& context, AskedCatalog& catalog) {
        for (int questions = 0; questions < questions_max; ++questions) {
            analysis_.emplace(message, context);
            do {
                step_ = analysis_->step(slice_bytes);
            } while (step_ == Step::more);
            if (step_ != Step::need_namespaces) return;
            if (error_ = catalog.ask(analysis_->needed()); !error_.empty()) return;
        }
        error_ = "the command's namespaces lead to ever more of them";
    }
    const std::string& error() const { return error_; }  // not empty: the cluster could not be asked
    bool refused() const { return step_ == Step::refused; }
    const analysis::Refusal& refusal() const { return analysis_->refusal(); }
    const analysis::Plan& plan() { return analysis_->plan(); }

 private:
    std::optional<analysis::RequestAnalysis> analysis_;
    Step step_{};
    std::string error_;
};

void print_heading(const analysis::Plan& plan, bson::DocumentView command, std::ostream& out) {
    const std::string_view name = (*command.begin()).key();
    out << printable(name);
    if (!plan.collection.empty())
        out << " on " << printable(plan.database) << '.' << printable(plan.collection);
    else if (!plan.database.empty())
        out << " on database " << printable(plan.database);
    out << "\n\n";
}

}  // namespace

int explain(const std::filesystem::path& file, const ExplainOptions& options, std::istream& in,
            Console console) {
    const auto config = load_configuration(file, console.err);
    if (!config) return exit_configuration;
    std::vector<const config::Role*> roles;
    std::vector<std::string> names;
    for (const config::Role& role : config->roles) {
        names.push_back(role.name);
        if (options.role.empty() || options.role == role.name) roles.push_back(&role);
    }
    const auto usage = [&](const std::string& what) {
        console.err << what << '\n';
        return exit_usage;
    };
    if (roles.empty() && !options.role.empty())
        return usage("--role: the configuration has no role `" + printable(options.role) + "`, but " +
                     joined(names));
    auto read = read_command(in, config->limits.message_bytes);
    if (const auto* error = std::get_if<InputError>(&read)) return usage(error->text);
    auto completed = with_database(std::move(std::get<bson::Buffer>(read)), options.database);
    if (const auto* error = std::get_if<InputError>(&completed)) return usage(error->text);

    const wire::Buffer frame = wire::make_op_msg(1, 0, std::get<bson::Buffer>(completed));
    const auto message = wire::OpMsg::parse(frame);
    if (!message) return usage("the command cannot be sent: " + message.error().message());
    if (session::parse_hello(message->body)) {
        console.out << "a handshake: fieldgate answers it itself, the server never sees it\n";
        return exit_ok;
    }
    std::optional<AskedCatalog> catalog;
    try {
        catalog.emplace(*config, options.connect);
    } catch (const std::runtime_error& error) {
        console.err << "cluster: " << error.what() << '\n';
        return exit_unavailable;
    }
    Analysed analysed(*message, {*config, *catalog}, *catalog);
    if (!analysed.error().empty()) {
        console.err << "cluster: " << analysed.error() << '\n';
        return exit_unavailable;
    }

    std::ostream& out = console.out;
    const analysis::Plan& plan = analysed.plan();
    print_heading(plan, message->body, out);
    print_namespaces(plan, *config, options.connect ? &*catalog : nullptr, out);
    if (analysed.refused()) {
        out << "For every role: ";
        print_refusal(analysed.refusal(), out);
        return exit_ok;
    }
    const wire::Buffer described = session::describe(*message, frame, plan);
    out << "What the server receives" << (plan.edits.empty() ? " (nothing to encrypt)\n" : "\n")
        << printable_json(bson::lay_out_json(bson::to_json(described))) << "\n\n";
    print_needs(plan, out);
    for (const config::Role* role : roles) print_role(plan, *role, *config, out);
    return exit_ok;
}

}  // namespace fieldgate::commands
