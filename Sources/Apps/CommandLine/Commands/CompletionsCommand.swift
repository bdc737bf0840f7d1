// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print a shell's completion script.",
        discussion: "For example: salvor completions bash > /etc/bash_completion.d/salvor")

    @OptionGroup var global: GlobalOptions

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    func run() throws {
        let known: [Shell: CompletionShell] = [.bash: .bash, .zsh: .zsh, .fish: .fish]
        let script = Salvor.completionScript(for: known[shell] ?? .bash)
        try Output.result(script, command: "completions", isJSON: global.json) { script }
    }
}
