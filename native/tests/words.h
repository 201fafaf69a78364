// The words of a command: those that stand alone, and those after a --name.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace striate {

struct Words {
    std::vector<std::string> plain;
    std::map<std::string, std::string> named;
};

inline Words words_of(int count, char** given) {
    Words words;
    for (int i = 1; i < count; ++i) {
        const std::string word = given[i];
        if (word.rfind("--", 0) == 0 && i + 1 < count) {
            words.named[word.substr(2)] = given[++i];
        } else {
            words.plain.push_back(word);
        }
    }
    return words;
}

}  // namespace striate
