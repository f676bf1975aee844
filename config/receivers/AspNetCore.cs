// A receiver in C# with ASP.NET Core (8 or newer): verifies every delivery, drops duplicates, does the work once.
//
//     dotnet new web -o receiver && cp AspNetCore.cs receiver/Program.cs && cd receiver
//     WEBHOOK_SECRET=whsec_… dotnet run --urls http://127.0.0.1:9000
//
// SEEN (seen-webhooks.txt) is which deliveries it remembers.

using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

var secret = Environment.GetEnvironmentVariable("WEBHOOK_SECRET") ?? throw new InvalidOperationException("Set WEBHOOK_SECRET.");
var key = Convert.FromBase64String(secret["whsec_".Length..]);
var tolerance = TimeSpan.FromMinutes(5);

// The same id comes again only when somebody asks for a redelivery. With a database, note it in a table with a unique
// key, in the transaction of the work: both happen then, or neither.
var file = Environment.GetEnvironmentVariable("SEEN") ?? "seen-webhooks.txt";
var seen = new HashSet<string>(File.Exists(file) ? File.ReadAllLines(file) : []);
var underWay = new ConcurrentDictionary<string, Lazy<Task>>();

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = 1 << 20);
var app = builder.Build();

app.MapPost("/webhooks", async (HttpRequest request, ILogger<Program> log) =>
{
    // The bytes as they came: JSON that was decoded and encoded again has another signature.
    using var buffer = new MemoryStream();
    await request.Body.CopyToAsync(buffer);
    var body = buffer.ToArray();
    var id = request.Headers["webhook-id"].ToString();
    if (Fault(request.Headers, body) is { } fault)
    {
        log.LogWarning("refused: {Fault}", fault);
        return Results.Unauthorized();
    }

    await underWay.GetOrAdd(id, _ => new Lazy<Task>(() => Once(id, body))).Value;
    return Results.NoContent();
});

app.Run();

async Task Once(string id, byte[] body)
{
    try
    {
        bool duplicate;
        lock (seen) duplicate = seen.Contains(id);
        if (duplicate)
        {
            Console.WriteLine($"a duplicate: {id}");
            return;
        }

        using var message = JsonDocument.Parse(body);
        await Work(message.RootElement);
        lock (seen)
        {
            File.AppendAllText(file, id + "\n");
            seen.Add(id);
        }
    }
    finally
    {
        underWay.TryRemove(id, out _);
    }
}

// What you do about an event. Throwing leaves it undone: a redelivery will then not count as a duplicate.
static Task Work(JsonElement message)
{
    Console.WriteLine($"did the work of {message.GetProperty("Event").GetString()}: {message}");
    return Task.CompletedTask;
}

// What is wrong with the delivery; null if it is genuine (Standard Webhooks 1.0.0).
string? Fault(IHeaderDictionary headers, byte[] body)
{
    var (id, timestamp) = (headers["webhook-id"].ToString(), headers["webhook-timestamp"].ToString());
    if (id.Length == 0 || !long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        return "a header is missing";
    if (Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - seconds) > tolerance.TotalSeconds)
        return "its timestamp is more than five minutes from now";

    byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
    var expected = Encoding.ASCII.GetBytes("v1," + Convert.ToBase64String(HMACSHA256.HashData(key, signed)));
    // While a secret is being changed there are two, separated by a space.
    var given = headers["webhook-signature"].ToString().Split(' ');
    return given.Any(one => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(one), expected))
        ? null
        : "no signature is right";
}
