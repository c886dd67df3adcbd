#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stand.hpp"

// Makes one command. It knows of every value whether it is protected: stored at, assigned to or compared with
// a path at or below a protected field, or inside a whole value of its parent. Those are canaries that must
// not be found. Where that depends on how a stage is understood, the value is none: the test may miss a leak
// there, and never reports one that is none.
namespace fieldgate::property {

class Generator {
 public:
    Generator(Random& random, const std::vector<Collection>& collections, Canaries& canaries);
    Command command();

    // Operators and stages that the command uses, for the statistics.
    const std::vector<std::string>& features() const { return features_; }

 private:
    // commands.cpp
    Command insert();
    Command update();
    Command remove();
    Command find();
    Command find_and_modify();
    Command count();
    Command distinct();
    Command aggregate();
    Command bulk_write();
    Command create_indexes();
    Command create();
    Command coll_mod();
    Command explain();
    Command start(std::string kind, std::string_view name);
    void add_options(Value& command, bool collation, bool hint);
    Value update_statement(std::string& kind);
    Value delete_statement();
    void lay_out(Sequence& sequence);

    // documents.cpp
    Value document(const Tree& node, unsigned level);
    Value field_value(const Field& field);  // protected; now and then of a type that the field does not take
    Value unfit_value();                    // protected, of any type
    Value parent_value(const Tree& node, unsigned level);
    Value plain_value(unsigned level);
    Value value_at(const Standing& at);  // what could be stored there
    std::string plain_name(unsigned level);
    void spoil(Value& document, const Tree& node, unsigned level);

    // filters.cpp
    Value filter(const Tree& root, unsigned level);
    void add_predicate(Value& filter, const Tree& root);
    Value condition(const Standing& at);
    Value field_condition(const Tree& node);
    Value any_condition(const Standing& at);
    Value plain_condition(unsigned level);

    // expressions.cpp
    Value laid_below(const std::string& name, Value constant);
    Value default_of_field(const Tree& root);
    Value expression(const Tree& root, unsigned level);
    Value comparison(const Tree& root);
    Value protected_operand(const Place& place, unsigned level);
    Value plain_operand(const Tree& root);

    // pipelines.cpp
    Value pipeline(const Tree& root, unsigned level, bool in_update);
    Value stage(Tree& root, unsigned level, bool in_update);
    Value projection(const Tree& root, bool is_stage);
    Value simple_stage(const std::string& name, Tree& root);
    Value assigning_stage(const std::string& name, Tree& root, bool in_update);
    Value group_stage(Tree& root);
    Value replacing_stage(const std::string& name, Tree& root, bool in_update);
    Value joining_stage(const std::string& name, Tree& root, unsigned level);
    Value server_stage(const std::string& name, const Tree& root);
    void unwind_joined(Value& stages);
    Value change_stream(Tree& root);

    // updates.cpp
    Value update_value(std::string& kind);
    Value operators();
    void add_operator(Value& update);
    Value array_filters();

    bool wild() { return random_.chance(wildness_); }
    std::optional<Place> pick_place(const std::vector<Place>& all, bool deterministic_only);
    std::string any_path(const Tree& root);  // plain, protected, or spoilt
    std::string spoilt_path(std::string path);
    void used(std::string_view feature) { features_.emplace_back(feature); }

    Random& random_;
    const std::vector<Collection>& collections_;
    Canaries& canaries_;
    const Collection& collection_;
    std::vector<Place> places_;  // of collection_
    unsigned wildness_;          // how many of a hundred choices a sane client would not make
    std::string let_variable_;   // what `let` of the command may declare
    bool let_used_ = false;      // and is compared with a protected field
    std::vector<std::string> features_;
};

}  // namespace fieldgate::property
