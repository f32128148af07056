//! Reads: a page of fifty products with their categories, as a shop's front end asks for it over GraphQL, beside `pgbench`
//! that asks the same tables for the same columns with the same two statements.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::Bench;
use crate::Result;
use crate::chance::Chance;
use crate::contender::pgbench::Script;
use crate::figures::{Ratio, grouped, median};
use crate::http::{Connection, Url};
use crate::load::{self, Client};
use crate::report::say;
use crate::requirement::Verdict;
use crate::server::Server;
use crate::work::{Outcome, Spec};

/// Categories, and the products in each.
const CATEGORIES: u32 = 100;
const PRODUCTS: u32 = 10;

/// What is asked for.
const PAGE: &str = "{ products(limit: 50) { id name price category { id name } } }";

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Reads {
    /// Pages a second over GraphQL, in each round.
    pub graphql: Vec<Option<f64>>,
    /// What pgbench did, in each round: both statements make one page.
    pub statements: Vec<Option<f64>>,
    /// What went wrong, if something did.
    pub trouble: Option<String>,
}

impl Reads {
    /// Fills the tables through the server, and reads them both ways in turns.
    ///
    /// # Errors
    /// When the shop can't be set up.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        let database = bench.cluster.database().await;
        let catalog = bench.place.component("plugins", "catalog")?;
        let server = Server::start(&bench.place, "reads", &catalog, Some(&database)).await?;
        let url = server.graphql();
        fill(&url).await?;
        bench.cluster.query(&database, "analyze").await?;
        let page = page(&url).await?;
        let sql = statements(bench, &database, &page).await?;
        let mut script = Script::write(&bench.place, &bench.cluster, "reads-statements", database, &sql)?;
        let (spec, mut chance) = (bench.spec(), Chance::new(bench.arguments.seed));
        let mut found = Self { graphql: Vec::new(), statements: Vec::new(), trouble: None };
        for round in 1..=bench.arguments.rounds {
            // What comes first in a round is left to chance, as everywhere.
            let (over_graphql, by_statements) = if chance.bits() % 2 == 0 {
                let first = ask(&url, &spec, &page).await;
                (first, script.run(&spec, &[]).await)
            } else {
                let first = script.run(&spec, &[]).await;
                (ask(&url, &spec, &page).await, first)
            };
            let (pages, pairs) = (found.rate_of(over_graphql), found.rate_of(by_statements));
            found.graphql.push(pages);
            found.statements.push(pairs);
            let shown = |figures: &[Option<f64>]| figures.last().copied().flatten().map_or("-".into(), grouped);
            say(&format!(
                "    round {round} of {}  GraphQL {:>8}/s  the statements {:>8}/s",
                bench.arguments.rounds,
                shown(&found.graphql),
                shown(&found.statements)
            ));
        }
        Ok(found)
    }

    fn rate_of(&mut self, outcome: Result<Outcome>) -> Option<f64> {
        let outcome = outcome.and_then(|outcome| match outcome.first_error.clone() {
            Some(error) => Err(error),
            None => Ok(outcome.rate()),
        });
        outcome.map_err(|reason| self.trouble.get_or_insert(reason).clone()).ok()
    }

    /// The medians of pages a second: over GraphQL, and by the statements.
    #[must_use]
    pub fn rates(&self) -> [Option<f64>; 2] {
        [&self.graphql, &self.statements].map(|rates| median(&rates.iter().flatten().copied().collect::<Vec<_>>()))
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let what =
            "50 products with their category, GraphQL, PostgreSQL, 32 clients / the same two statements by pgbench";
        let ratio = Ratio::of(&self.graphql, &self.statements);
        let ratio =
            ratio.map_err(|reason| self.trouble.clone().map_or(reason, |trouble| format!("it failed: {trouble}")));
        Verdict::of_ratio(what, ratio, 0.5)
    }
}

async fn send(connection: &mut Connection, document: &str, variables: Value) -> Result<Value> {
    let body = json!({ "query": document, "variables": variables }).to_string();
    let (status, answer) = connection.send(body.as_bytes()).await?;
    let told = || format!("status {status}: {}", String::from_utf8_lossy(answer));
    let mut answer: Value = serde_json::from_slice(answer).map_err(|_| told())?;
    if status != 200 || answer.get("errors").is_some() {
        return Err(answer.to_string());
    }
    Ok(answer["data"].take())
}

/// Fills the shop, category by category.
async fn fill(url: &Url) -> Result<()> {
    let mut connection = Connection::open(url, "POST").await?;
    for category in 0..CATEGORIES {
        let document = "mutation($n: String!) { createCategory(input: { name: $n }) { id } }";
        let created = send(&mut connection, document, json!({ "n": format!("Category {category}") })).await?;
        let document = "mutation($n: String!, $c: ID!) { createProduct(input: { name: $n, price: \"19.99\", categoryId: $c }) { id } }";
        for product in 0..PRODUCTS {
            let name = format!("Product {product} of category {category}");
            let variables = json!({ "n": name, "c": created["createCategory"]["id"] });
            send(&mut connection, document, variables).await?;
        }
    }
    Ok(())
}

/// The page that every answer has to be, after it has been looked at once.
async fn page(url: &Url) -> Result<Value> {
    let mut connection = Connection::open(url, "POST").await?;
    let data = send(&mut connection, PAGE, json!({})).await?;
    let products = data["products"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = products.len() == 50 && products.iter().all(|product| product["category"]["name"].is_string());
    if whole { Ok(data) } else { Err(format!("the page is {data}")) }
}

/// The two statements, over the tables in which the server keeps the rows of the page.
async fn statements(bench: &Bench, database: &str, page: &Value) -> Result<String> {
    let table = async |column: &str| {
        let statement = format!(
            "select quote_ident(table_name) from information_schema.tables t where table_name like 'rm\\_%' and exists (select \
             from information_schema.columns c where c.table_name = t.table_name and c.column_name = 'price') = {column}"
        );
        let found = bench.cluster.query(database, &statement).await?;
        if found.lines().count() == 1 { Ok(found) } else { Err(format!("these tables may be meant: {found}")) }
    };
    let (products, categories) = (table("true").await?, table("false").await?);
    let ids =
        page["products"].as_array().into_iter().flatten().filter_map(|product| product["category"]["id"].as_str());
    let ids: BTreeSet<&str> = ids.collect();
    let ids = ids.into_iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    Ok(format!(
        "select id, name, price::text, \"categoryId\" from {products} where _tenant = 'default' order by id limit 50;\n\
         select id, name from {categories} where _tenant = 'default' and id = any (array[{ids}]);\n"
    ))
}

/// Lets clients ask for the page.
async fn ask(url: &Url, spec: &Spec, page: &Value) -> Result<Outcome> {
    let body = json!({ "query": PAGE }).to_string().into_bytes();
    let expected = format!("{{\"data\":{page}").into_bytes();
    let at = url.clone();
    let reader = move |connection| Reader {
        url: at.clone(),
        connection: Some(connection),
        body: body.clone(),
        length: expected.len(),
    };
    load::apart(url, spec, reader).await
}

struct Reader {
    url: Url,
    /// None after it has broken.
    connection: Option<Connection>,
    body: Vec<u8>,
    /// An answer has at least so many bytes.
    length: usize,
}

impl Client for Reader {
    async fn operate(&mut self, _: u32) -> Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.url, "POST").await?,
        };
        let (status, answer) = connection.send(&self.body).await?;
        // Every page is the same. Its length tells an error from it, and costs the clients no time that the server lacks.
        if status != 200 || answer.len() < self.length {
            let said: String = String::from_utf8_lossy(answer).chars().take(500).collect();
            return Err(format!("status {status}: {said}"));
        }
        self.connection = Some(connection);
        Ok(())
    }
}
