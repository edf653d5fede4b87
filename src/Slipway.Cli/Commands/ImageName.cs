using Slipway.Oci;

namespace Slipway.Cli.Commands;

/// <summary>Names of images as a user writes them.</summary>
internal static class ImageName
{
    /// <exception cref="CommandException">No valid name, in docker's words.</exception>
    public static Reference Parse(string text)
    {
        try
        {
            return Reference.Parse(text);
        }
        catch (OciException exception)
        {
            throw new CommandException(exception.Message, 1);
        }
    }

    /// <summary>What a pull or push transfers: one tag, the default one where none is named, which is told; or the whole repository.</summary>
    /// <exception cref="CommandException">No valid name, or a tag beside the wish for all.</exception>
    public static Reference ParseTransferred(string text, bool allTags, TextWriter output)
    {
        Reference name = Parse(text);
        if (allTags)
        {
            return name.IsNameOnly ? name : throw new CommandException("tag can't be used with --all-tags/-a", 1);
        }

        if (!name.IsNameOnly)
        {
            return name;
        }

        output.WriteLine($"Using default tag: {Reference.DefaultTag}");
        return name.WithDefaultTag();
    }
}
