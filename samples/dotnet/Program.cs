var app = WebApplication.CreateSlimBuilder(args).Build();
app.MapGet("/", (string? name) => $"hello {name ?? "visitor"} from .NET, user {Environment.UserName}\n");
app.Run();
