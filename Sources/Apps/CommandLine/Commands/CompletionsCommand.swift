// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print a shell's completion script.",
        discussion: "For example: salvor completions bash > /etc/bash_completion.d/salvor")

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    func run() {
        let known: [Shell: CompletionShell] = [.bash: .bash, .zsh: .zsh, .fish: .fish]
        print(Salvor.completionScript(for: known[shell] ?? .bash))
    }
}
