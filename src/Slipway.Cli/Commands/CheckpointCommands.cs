using System.CommandLine;
using System.Text.Json.Nodes;
using Slipway.Api.Containers;
using Slipway.Cli.Output;

namespace Slipway.Cli.Commands;

/// <summary><c>slipway checkpoint</c>.</summary>
internal static class CheckpointCommands
{
    public static Command Create() => new("checkpoint", "Manage checkpoints") { CreateCreate(), CreateList(), CreateRemove() };

    private static Command CreateCreate()
    {
        Option<string?> directory = Directory();
        Option<bool> leave = new("--leave-running") { Description = "Leave the container running after checkpoint" };
        (Argument<string> container, Argument<string> checkpoint) = (Container(), Checkpoint());
        Command command = new("create", "Create a checkpoint from a running container") { directory, leave, container, checkpoint };
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            CheckpointCreateRequest request = new()
            {
                CheckpointID = result.GetValue(checkpoint)!,
                CheckpointDir = result.GetValue(directory) ?? "",
                Exit = !result.GetValue(leave),
            };
            await client.CreateCheckpointAsync(result.GetValue(container)!, request, cancellationToken).ConfigureAwait(false);
            Console.WriteLine(request.CheckpointID);
            return 0;
        });
        return command;
    }

    private static Command CreateList()
    {
        Option<string?> directory = Directory();
        Argument<string> container = Container();
        Command command = new("ls", "List checkpoints for a container") { directory, container };
        command.Aliases.Add("list");
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            Listing listing = new(("CHECKPOINT NAME", "Name"));
            foreach (CheckpointSummary checkpoint in await client.ListCheckpointsAsync(result.GetValue(container)!, result.GetValue(directory), cancellationToken).ConfigureAwait(false))
            {
                listing.Add(new JsonObject { ["Name"] = checkpoint.Name });
            }

            listing.WriteTo(Console.Out, format: null);
            return 0;
        });
        return command;
    }

    private static Command CreateRemove()
    {
        Option<string?> directory = Directory();
        (Argument<string> container, Argument<string> checkpoint) = (Container(), Checkpoint());
        Command command = new("rm", "Remove a checkpoint") { directory, container, checkpoint };
        command.Aliases.Add("remove");
        command.SetEngineAction(async (result, client, cancellationToken) =>
        {
            await client.RemoveCheckpointAsync(result.GetValue(container)!, result.GetValue(checkpoint)!, result.GetValue(directory), cancellationToken).ConfigureAwait(false);
            return 0;
        });
        return command;
    }

    private static Option<string?> Directory() => new("--checkpoint-dir") { Description = "Use a custom checkpoint storage directory" };

    private static Argument<string> Container() => new("CONTAINER") { CompletionSources = { Completion.Containers } };

    private static Argument<string> Checkpoint() => new("CHECKPOINT");
}
