using Slipway.Build.Syntax;
using Slipway.Oci;

namespace Slipway.Build.Checks;

/// <summary>Rules about stages and what they are made of.</summary>
internal sealed class StageRules(DockerfileDocument document, CheckRequest request, CheckFindings findings)
{
    /// <summary>Words that FROM and COPY --from give a meaning of their own.</summary>
    private static readonly string[] s_reserved = ["scratch", "context"];

    /// <summary>Stages in which a WORKDIR is set, those they start from included.</summary>
    private readonly HashSet<string> _withDirectory = new(StringComparer.OrdinalIgnoreCase);

    private readonly HashSet<string> _names = new(StringComparer.OrdinalIgnoreCase);

    public void Apply()
    {
        foreach (Stage stage in document.Stages)
        {
            CheckName(stage.From);
            CheckPlatform(stage.From);
            CheckCommands(stage);
            CheckDirectory(stage);
            foreach (TransferInstruction transfer in stage.Instructions.OfType<TransferInstruction>())
            {
                CheckSources(transfer);
            }
        }
    }

    private void CheckName(FromInstruction from)
    {
        if (from.StageName is not { } name)
        {
            return;
        }

        if (s_reserved.Contains(name))
        {
            findings.Add(CheckRule.ReservedStageName, from.Lines, $"{name} cannot be told from the word that is always known");
        }

        if (!_names.Add(name))
        {
            findings.Add(CheckRule.DuplicateStageName, from.Lines, $"there is a stage {name} already");
        }
    }

    private void CheckPlatform(FromInstruction from)
    {
        switch (from.Platform?.Trim('"', '\''))
        {
            case "$TARGETPLATFORM" or "${TARGETPLATFORM}":
                findings.Add(CheckRule.RedundantTargetPlatform, from.Lines, $"--platform={from.Platform} says what holds without it");
                break;
            case { } constant when !constant.Contains('$', StringComparison.Ordinal) && TryParse(constant) is { } platform
                && from.StageName?.Contains(platform.Os, StringComparison.Ordinal) != true && from.StageName?.Contains(platform.Architecture, StringComparison.Ordinal) != true:
                findings.Add(CheckRule.FromPlatformFlagConstDisallowed, from.Lines, $"--platform={constant} makes the stage the same for every target; a stage that is meant so names the platform");
                break;
        }
    }

    private static Platform? TryParse(string text)
    {
        try
        {
            return Platform.Parse(text);
        }
        catch (OciException)
        {
            // The build says what is wrong with it.
            return null;
        }
    }

    private void CheckCommands(Stage stage)
    {
        Dictionary<string, Instruction> earlier = [];
        bool hasShell = false;
        foreach (Instruction instruction in stage.Instructions)
        {
            hasShell |= instruction is ShellInstruction;
            if (instruction is not (CmdInstruction or EntrypointInstruction or HealthcheckInstruction))
            {
                continue;
            }

            if (earlier.TryGetValue(instruction.Keyword, out Instruction? before))
            {
                findings.Add(CheckRule.MultipleInstructionsDisallowed, before.Lines, $"{instruction.Keyword} in line {instruction.Lines.First} takes this one's place");
            }

            earlier[instruction.Keyword] = instruction;
            CommandLine? command = (instruction as CmdInstruction)?.Command ?? (instruction as EntrypointInstruction)?.Command;
            if (command is { List: null } && !hasShell)
            {
                findings.Add(CheckRule.JsonArgsRecommended, instruction.Lines, $"{instruction.Keyword} is executed by a shell, which does not pass signals on");
            }
        }
    }

    private void CheckDirectory(Stage stage)
    {
        bool isSet = _withDirectory.Contains(stage.From.Base);
        foreach (WorkdirInstruction workdir in stage.Instructions.OfType<WorkdirInstruction>())
        {
            if (!isSet && !workdir.Path.Trim('"', '\'').StartsWith('/') && !workdir.Path.Contains('$', StringComparison.Ordinal))
            {
                findings.Add(CheckRule.WorkdirRelativePath, workdir.Lines, $"{workdir.Path} is relative to whatever {stage.From.Base} has set");
            }

            isSet = true;
        }

        if (isSet && stage.From.StageName is { } name)
        {
            _withDirectory.Add(name);
        }
    }

    private void CheckSources(TransferInstruction transfer)
    {
        if (request.Ignore is not { HasExceptions: false } ignore || transfer is CopyInstruction { From: not null })
        {
            return;
        }

        foreach (string source in transfer.Sources.Where(source => source.AsSpan().IndexOfAny("$*?[:") < 0))
        {
            string path = string.Join('/', source.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != "."));
            if (path.Length > 0 && ignore.Ignores(path))
            {
                findings.Add(CheckRule.CopyIgnoredFile, transfer.Lines, $"{source} is left out of the context");
            }
        }
    }
}
